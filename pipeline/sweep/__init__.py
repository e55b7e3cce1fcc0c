"""Many recipes trained and measured: plans, searches, results. May import stages and below."""
