package swapper

import (
	"fmt"
	"strings"
)

// namedPeers is up to how many peers are named, rather than counted.
const namedPeers = 3

// sayWhoSwapped says which other processes have the new database, too, and which of all
// have not done with the swap.
func (p *push) sayWhoSwapped() {
	var done []string
	for _, peer := range p.report.Peers {
		if peer.Problem == "" {
			done = append(done, peer.String())
		}
	}
	if len(done) > 0 {
		who := strings.Join(done, ", ")
		if len(done) > namedPeers {
			who = fmt.Sprintf("%d other processes", len(done))
		}
		p.events.step(StepPeers, "swapped in "+who+", too", map[string]any{"peers": len(done)})
	}
	for _, peer := range p.report.Peers {
		if peer.Problem != "" {
			p.events.amiss(StepPeers, peer.String()+" "+peer.Problem, map[string]any{"peer": peer.PID})
		}
	}
	if p.report.OnSwapRuns {
		p.events.amiss(StepOnSwapRuns, "an OnSwap callback of the program has not returned: the database can't be swapped again until it does", nil)
	}
}
