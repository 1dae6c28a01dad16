package main

import "testing"

// TestTheTagIsAskedForWhereItIsPrinted: the program reads all of the database for it.
func TestTheTagIsAskedForWhereItIsPrinted(t *testing.T) {
	for _, test := range []*struct {
		output
		want bool
	}{
		{output{}, true},
		{output{json: true}, true},
		{output{quiet: true, json: true}, true},
		{output{dryRun: true, json: true}, true},
		{output{quiet: true}, false},
		{output{dryRun: true}, false},
	} {
		if got := test.printsTag(); got != test.want {
			t.Errorf("quiet %v, json %v, dry run %v: %v", test.quiet, test.json, test.dryRun, got)
		}
	}
}
