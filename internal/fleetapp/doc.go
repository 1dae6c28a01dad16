// Package fleetapp is a small program that is a node of a fleet: it reads its database all
// the time and says what it reads. `hotswap demo --fleet` and the tests run several of it,
// each in a process of its own, and watch what becomes of them.
//
// Its database says in each row to which version it belongs, so that a read which sees two
// versions is noticed.
package fleetapp
