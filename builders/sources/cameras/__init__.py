"""Real sets of one scene by many cameras, in the layouts that their authors publish, unpacked or in archives."""
