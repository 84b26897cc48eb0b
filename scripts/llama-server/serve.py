"""Serves one GGUF file with llama.cpp's own server until stdin is closed: serve.py MODEL ALIAS. Prints its address."""

import os
import sys

from xllamacpp import CommonParams, Server

parameters = CommonParams()
parameters.model.path = sys.argv[1]
parameters.model_alias = {sys.argv[2]}
parameters.port = 0
parameters.n_parallel = 1
parameters.n_ctx = 1024
parameters.endpoint_slots = True
# A prompt read from the cache is summed in another order, which can tip a close choice: the same request, another text.
parameters.cache_prompt = False
# Two threads on two busy cores wait for each other at every token.
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1

server = Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)
