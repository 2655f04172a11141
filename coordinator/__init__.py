"""The operator's side: cutting, compiling, planning, server segments, rounds."""
