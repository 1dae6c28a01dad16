package driver

import "hotswap/internal/inside"

// insider is a Database with the methods that only package swapper needs, each beside
// what it is about. Their docs are at inside.Database.
type insider struct{ *Database }

var _ inside.Database = insider{}

func init() {
	inside.Of = func(database any) inside.Database { return insider{database.(*Database)} }
}
