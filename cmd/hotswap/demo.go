package main

// demoCmd is `hotswap demo`.
type demoCmd struct{}

// Run runs the demo.
func (demoCmd) Run() error { return nil }
