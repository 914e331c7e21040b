"""The environment of a script on this machine: what it needs to run, and no secret of other programs."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PASSED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TERM"
    r"|TMP|TEMP|TMPDIR|XDG_.*"
    r"|LD_LIBRARY_PATH|PYTHON.*|VIRTUAL_ENV|CONDA_.*"
    r"|CUDA.*|NVIDIA_.*|NCCL_.*|CUDNN_.*|CUBLAS_.*"
    r"|HF_.*|HUGGINGFACE_.*|TRANSFORMERS_.*|DIFFUSERS_.*"
    r"|TORCH.*|PYTORCH_.*|TRITON_.*|OMP_.*|MKL_.*|OPENBLAS_.*|TOKENIZERS_.*"
    r"|(?i:http_proxy|https_proxy|ftp_proxy|all_proxy|no_proxy)"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
)


def script_environment(own: Mapping[str, str], named: Mapping[str, str]) -> dict[str, str]:
    """The variables of this process that a script may need, and those that its configuration names."""
    return {**{name: value for name, value in own.items() if _PASSED.fullmatch(name)}, **named}
