package repository

import (
	"fmt"
	"slices"
)

// Staying is a version that a collection has left, with why.
type Staying struct {
	Version
	Why []string `json:"why"`
}

// staying says of the versions that are left why they are, but for those that are being
// published.
func (g *collection) staying(left []versionEntry, needed map[Version][]string) []Staying {
	all := []Staying{}
	left = slices.DeleteFunc(slices.Clone(left), func(e versionEntry) bool {
		return e.record.State == Publishing || g.opts.Channel != "" && e.version.Channel != g.opts.Channel
	})
	slices.SortFunc(left, func(a, b versionEntry) int { return b.version.compare(a.version) })
	newer := map[string]int{} // how many there are in the channel
	for _, e := range left {
		var why []string
		switch n := newer[e.version.Channel]; {
		case e.record.State == damaged:
			why = append(why, "it can't be read")
		case n == 0:
			why = append(why, "the newest")
		case n < g.opts.Keep:
			why = append(why, fmt.Sprintf("one of the newest %d", g.opts.Keep))
		}
		if e.record.State != damaged {
			newer[e.version.Channel]++
		}
		why = append(why, needed[e.version]...)
		if len(why) == 0 {
			why = append(why, "somebody has changed it meanwhile")
		}
		all = append(all, Staying{e.version, why})
	}
	slices.Reverse(all)
	return all
}
