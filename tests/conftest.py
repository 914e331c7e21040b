"""What holds for all tests."""

import os

# Before anything imports Triton: kernels run in its interpreter, on the CPU
os.environ["TRITON_INTERPRET"] = "1"
