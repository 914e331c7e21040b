"""Measurements on a CUDA device, with random weights of the published Transfer2.5-2B configuration.

| command | what it measures |
| --- | --- |
| `python -m benchmarks.gpu` | a denoising step against the diffusers classes, and where its time goes |
| `benchmarks.gpu.folder DIR` | nothing: it writes the model that the next ones load |
| `benchmarks.gpu.scenario MODEL` | ten runs, whole, three ways |
| `benchmarks.gpu.costs MODEL` | calibration, and how well it predicts |
| `benchmarks.gpu.small_cards --model MODEL` | the smallest card for a video |
| `benchmarks.gpu.crowded MODEL` | running out of memory on a card that something else fills |
| `benchmarks.gpu.pair MODEL` | what several GPUs give |
| `benchmarks.gpu.batches` | mixed control sets, joining, leaving, recorded steps, setting aside |
| `benchmarks.gpu.approximations` | how fast approximations are |
| `benchmarks.gpu.eight_bits` | how far attention in 8 bits is from exact |

The other modules are what these are made of. Results are in benchmarks/results/gpu-*.md.
"""
