"""The Complete Journey: tables of a retail log to coupon exposures of three conversion types."""
