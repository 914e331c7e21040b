"""Measurements on a CUDA device, with random weights of the published Transfer2.5-2B configuration.

| command | what it measures |
| --- | --- |
| `python -m benchmarks.gpu` | a denoising step against the diffusers classes, and where its time goes |
| `benchmarks.gpu.folder DIR` | nothing; it writes the model that the next commands load |
| `benchmarks.gpu.scenario MODEL` | ten runs, whole, three ways |
| `benchmarks.gpu.costs MODEL` | calibration, and the error of its predictions |
| `benchmarks.gpu.small_cards --model MODEL` | the smallest card for a video |
| `benchmarks.gpu.crowded MODEL` | running out of memory on a card that another process fills |
| `benchmarks.gpu.pair MODEL` | speed of several GPUs |
| `benchmarks.gpu.batches` | mixed control sets, joining, leaving, recorded steps, checkpoints |
| `benchmarks.gpu.approximations` | speed and error of approximations |
| `benchmarks.gpu.eight_bits` | error of attention in 8 bits |
| `benchmarks.gpu.autoencoder MODEL` | encoding and decoding a video |

The other modules are shared by these. Results are in benchmarks/results/gpu-*.md.
"""
