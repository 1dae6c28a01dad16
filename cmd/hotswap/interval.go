package main

import (
	"fmt"
	"time"

	"github.com/alecthomas/kong"
)

// leastInterval keeps a watch from being a load.
const leastInterval = 10 * time.Millisecond

// interval is a flag that may have a duration, and is a second without one.
type interval time.Duration

// IsBool makes the value optional.
func (*interval) IsBool() bool { return true }

// Decode reads the value, if there is one.
func (i *interval) Decode(ctx *kong.DecodeContext) error {
	*i = interval(time.Second)
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	text := fmt.Sprint(ctx.Scan.Pop().Value)
	d, err := time.ParseDuration(text)
	if err != nil || d < leastInterval {
		return fmt.Errorf("%q is not a duration of %s or more, such as 500ms or 2s", text, leastInterval)
	}
	*i = interval(d)
	return nil
}
