package main

import (
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/openers"
	"hotswap/sockserver"
)

func TestStatusSaysWhatAnOperatorWouldAsk(t *testing.T) {
	size, now := int64(3<<20), time.Now()
	var b strings.Builder
	printStatus(&b, []sockserver.DatabaseInfo{
		{
			Path: "/srv/app.db", Size: &size, WALSize: 4096, JournalMode: "wal", Open: true,
			Stats: driver.Stats{
				Connections: 10, Busy: 2, Held: 3, Waiting: 1, Frozen: true, Generation: 4, Swaps: 3,
				LastSwap: now.Add(-90 * time.Second), LastPause: 612345 * time.Nanosecond, LongestPause: 20 * time.Millisecond,
			},
			Holders: []driver.Holder{
				{Kind: driver.HoldRows, Query: "SELECT *\nFROM t", For: 2 * time.Second},
				{Kind: driver.HoldCall, Query: "SELECT short", For: 999 * time.Millisecond},
			},
			OpenIn: []sockserver.Opener{{PID: 12, Command: "litestream"}, {PID: 13, Command: "worker"}},
			Peers: []driver.Peer{
				{PID: 13, Program: "worker", Stats: &driver.Stats{Connections: 4, Busy: 1, Held: 1, Waiting: 2},
					Holders: []driver.Holder{{Kind: driver.HoldTx, Query: "UPDATE jobs", For: time.Minute, PID: 13, Program: "worker"}}},
				{PID: 14, Program: "old", Problem: "has it attached to another database"},
			},
			Warnings: []string{"it does not last"},
		},
		{Path: "/srv/other.db", JournalMode: "unknown"},
		{
			Path: "/srv/shared.db", Size: &size, JournalMode: "wal", Open: true,
			Stats:  driver.Stats{Generation: 3, Swaps: 2, LastSwap: now.Add(-time.Second), LastPause: 9 * time.Millisecond, LastWritesOnly: true, LongestWritesPause: 13 * time.Millisecond},
			OpenIn: []sockserver.Opener{{PID: 15, Command: "sqlite3", SQLite: "3.40.1"}},
			Holders: []driver.Holder{
				{Kind: driver.HoldCall, Query: "INSERT INTO t VALUES (1)", For: 3 * time.Second},
				{Kind: driver.HoldTx, Query: "UPDATE t", For: 2 * time.Second},
			},
			LockedBy: &openers.Process{PID: 15, Command: "sqlite3"},
		},
	}, now)
	want := `/srv/app.db
  size         3.0 MiB, and 4.0 KiB in its -wal
  journal      wal
  generation   4
  connections  10: 2 busy, 3 held; 1 call waiting; frozen: swap in progress
  last swap    1m30s ago, at ` + now.Add(-90*time.Second).Format(time.DateTime) + `; pause 612.3µs
  swaps        3, longest pause 20ms
  held by      open Rows for at least 2s (SELECT * FROM t)
  peer         process 13 (worker): 4 connections: 1 busy, 1 held; 2 calls waiting
  held by      an open transaction for at least 1m0s in process 13 (worker) (UPDATE jobs)
  peer         process 14 (old); takes no part in swaps: it has it attached to another database
  open in      process 12 (litestream)
  warning      it does not last

/srv/other.db
  size         no file
  connections  not open: managed because it matches Config.DatabasePaths

/srv/shared.db
  size         3.0 MiB
  journal      wal
  generation   3
  connections  0: 0 busy, 0 held; 0 calls waiting
  last swap    1s ago, at ` + now.Add(-time.Second).Format(time.DateTime) + `, in place; pause 9ms for writes, none for reads
  swaps        2, longest pause 13ms for writes, none for reads
  locked by    process 15 (sqlite3)
  waiting      a running call for at least 3s (INSERT INTO t VALUES (1)), maybe for that lock
  held by      an open transaction for at least 2s (UPDATE t)
  open in      process 15 (sqlite3) with SQLite 3.40.1
`
	if b.String() != want {
		t.Errorf("it says:\n%s\nand not:\n%s", b.String(), want)
	}
}
