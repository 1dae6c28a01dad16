// Package fleet makes a program a node of a fleet: its SQLite databases, opened through
// hotswap's driver, follow what is published and rolled out on an engine, a NATS server with
// JetStream. The command `hotswap fleet` is the other side.
//
//	db, err := sql.Open("sqlite3-hotswap", "file:db/catalog.sqlite3")
//	...
//	node, err := fleet.Join(ctx, fleet.Config{
//		Engine:    "nats://engine:4222",
//		Node:      "web-3",
//		Labels:    map[string]string{"role": "web"},
//		Databases: map[string]string{"catalog": "db/catalog.sqlite3"},
//	})
//	...
//	defer node.Close()
//
// # What a node does
//
// It fetches what a version has that neither its live database nor its backups have, checks
// it as a push does, and says that it is prepared, all with the program at work. When its
// wave opens it swaps, which makes calls wait for about a millisecond. Then it asks Health;
// if that fails it goes back to the version before.
//
// One node, whichever holds a lease in the engine, is the controller, and opens the waves.
// It keeps nothing to itself: another one takes over within seconds.
//
// # When things fail
//
// Join does not wait for the engine, and a node serves with what it has for as long as the
// engine is away. Killed at any moment, it leaves the whole old or the whole new database, and
// finds out when it is started again which version that is, by its content, and what it
// should have by now.
//
// What is prepared has its room, and so has the way back, until the rollout is done: a disk
// that fills up stops neither.
//
// A node goes to no version but one that an order, or a pin of its own, names, and never
// back to an older one but by a rollback, by a pin, or because Health has failed.
package fleet
