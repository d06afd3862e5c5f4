import numpy as np

def build_info() -> str: ...
def paths() -> list[str]: ...
def row_statistics(
    path: str,
    logits: np.ndarray,
    element: int,
    targets: np.ndarray,
    powers: np.ndarray,
    moments: np.ndarray,
    rank: np.ndarray,
    top_ids: np.ndarray,
    top_logp: np.ndarray,
    log_powers: np.ndarray,
    threads: int,
    /,
) -> int: ...
def pair_statistics(
    path: str,
    p_logits: np.ndarray,
    p_element: int,
    q_logits: np.ndarray,
    q_element: int,
    targets: np.ndarray,
    divergences: np.ndarray,
    same_top: np.ndarray,
    threads: int,
    /,
) -> int: ...
def draw(
    path: str,
    logits: np.ndarray,
    element: int,
    settings: np.ndarray,
    uniforms: np.ndarray,
    levels: int,
    powers: np.ndarray,
    ids: np.ndarray,
    logp: np.ndarray,
    log_powers: np.ndarray,
    threads: int,
    /,
) -> int: ...
def process(
    path: str,
    logits: np.ndarray,
    element: int,
    settings: np.ndarray,
    logp: np.ndarray,
    threads: int,
    /,
) -> int: ...
def read(path: str, logits: np.ndarray, element: int, threads: int, /) -> float: ...
