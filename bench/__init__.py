import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `pairzero` sets it, before torch is imported
