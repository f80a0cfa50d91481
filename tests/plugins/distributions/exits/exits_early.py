raise SystemExit("the plugin wants to quit")
