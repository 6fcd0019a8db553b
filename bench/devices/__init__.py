"""Machines that run trials: phones through adb, and this host, behind one Protocol."""
