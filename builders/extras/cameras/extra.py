"""What ``builders/extras/cameras`` adds."""

_KINDS = ("fodb", "imagenet-es", "vision", "dresden", "raise", "plism", "scorpion")

DATA = {name: f"builders.extras.cameras.kinds:{name.replace('-', '_').upper()}" for name in _KINDS}
LAYOUTS = dict.fromkeys(("fodb", "imagenet-es"), "builders.extras.cameras.command:write_simulated")
