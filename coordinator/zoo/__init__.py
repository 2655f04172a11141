"""Models to start from: plain `nn.Module`s that trace, cut and train on boards.

| factory                                | input             | default parameters |
|----------------------------------------|-------------------|--------------------|
| `coordinator.zoo.small_cnn:small_cnn`  | [B, 1, 28, 28]    | 29 k               |
| `coordinator.zoo.vgg:vgg16`            | [B, 3, 32, 32]    | 14.7 M             |
| `coordinator.zoo.resnet:resnet18`      | [B, 3, 32, 32]    | 11.2 M             |
| `coordinator.zoo.resnet:resnet50`      | [B, 3, 224, 224]  | 25.6 M             |
| `coordinator.zoo.mobilenet:mobilenet`  | [B, 3, 32, 32]    | 2.2 M              |
| `coordinator.zoo.vit:vit`              | [B, 3, 32, 32]    | 1.8 M              |
| `coordinator.zoo.keyword:keyword`      | [B, 40, 101]      | 0.1 M              |
"""
