package rollout

import "slices"

// plan divides nodes into waves, by name.
func (p Plan) plan(nodes []string) (waves [][]string) {
	slices.Sort(nodes)
	taken := min(p.Canary, len(nodes))
	if taken > 0 {
		waves = append(waves, slices.Clone(nodes[:taken]))
	}
	percents := p.Waves
	if len(percents) == 0 || percents[len(percents)-1] < 100 {
		percents = append(slices.Clone(percents), 100)
	}
	for _, percent := range percents {
		// Rounded up, so that a wave of a few percent is one node at least.
		upTo := (len(nodes)*percent + 99) / 100
		if upTo > taken {
			waves = append(waves, slices.Clone(nodes[taken:upTo]))
			taken = upTo
		}
	}
	return waves
}
