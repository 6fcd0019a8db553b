"""Weights rounded to float16, everything else left in float32."""
