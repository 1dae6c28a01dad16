package main

import (
	"fmt"
	"strings"
)

// examplesTitle begins the part of a help text that has the examples.
const examplesTitle = "Examples:"

// examples writes pairs of a remark and a command line; one without a remark
// belongs to the pair before.
func examples(pairs ...string) string {
	var b strings.Builder
	b.WriteString(examplesTitle + "\n")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] != "" {
			fmt.Fprintf(&b, "\n    # %s\n", pairs[i])
		}
		fmt.Fprintf(&b, "    $ %s\n", pairs[i+1])
	}
	return strings.TrimRight(b.String(), "\n")
}
