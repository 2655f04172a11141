"""Getting letters of any size across a broker that promises nothing.

`outbox` sends to one peer, `inbox` receives from one peer, `courier` joins all peers of a
connection under one budget and one arbiter. None of them knows a socket, a clock or a thread.
"""
