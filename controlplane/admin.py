"""Admin pages of identities and targets."""
