package fleetview

import (
	"fmt"
	"strings"
	"time"

	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// Headline says how far a rollout is.
func (c Channel) Headline() string {
	if c.Order == nil {
		return c.Channel + ": nothing was rolled out yet"
	}
	o, text := *c.Order, ""
	switch {
	case c.Progress != nil:
		text = ProgressLine(o, *c.Progress)
	case o.Halted:
		text = fmt.Sprintf("%s@%d halted", o.Channel, o.Version)
	default:
		text = fmt.Sprintf("%s@%d ordered", o.Channel, o.Version)
	}
	if o.Halted && c.Progress != nil && c.Progress.Phase == rollout.Done {
		text += "; halted since: a node that comes later does not get it"
	}
	if o.Kind == rollout.Rollback {
		text = "rollback to " + text
	}
	if o.Message != "" {
		text += " (" + o.Message + ")"
	}
	return text
}

// EngineClock says that the engine's clock is off; "" if it is not.
func (f Fleet) EngineClock() string {
	switch {
	case f.EngineAhead > 0:
		return fmt.Sprintf("the engine's clock is ahead of this machine's by %s", f.EngineAhead.Round(time.Second))
	case f.EngineAhead < 0:
		return fmt.Sprintf("the engine's clock is behind this machine's by %s", -f.EngineAhead.Round(time.Second))
	}
	return ""
}

// WithoutController says why nothing moves; "" if there is a controller.
func (f Fleet) WithoutController() string {
	switch {
	case f.Controller != "":
		return ""
	case f.Idle == nil:
		return "no node is the controller: nothing moves until one is"
	}
	who := "something that is not a node"
	if f.Idle.Node != "" {
		who = printable.Line(f.Idle.Node)
	}
	return fmt.Sprintf("no node works as the controller: %s has its lease, and has not renewed it since %s; a node that sees that for %s takes over",
		who, f.Idle.Since.Local().Format(time.DateTime), records.LeaseOverdue)
}

// Has says which version the node has.
func (n Node) Has(channel string) string {
	switch {
	case n.Silent, n.Ended:
		return "?"
	case n.Have == 0:
		return "-"
	}
	return fmt.Sprintf("%s@%d", channel, n.Have)
}

// WaveText says in which wave the node is.
func (n Node) WaveText(p *rollout.Progress) string {
	if n.Wave == 0 || p == nil {
		return ""
	}
	return fmt.Sprintf("wave %d", n.Wave)
}

// State says what the node is at.
func (n Node) State(channel string, o *rollout.Order) string {
	text := string(n.Phase)
	switch {
	case !n.Answers():
		text = n.Absence.text(channel)
	case n.Refused != nil && o != nil && n.Refused.Order == o.ID:
		text = "refused: " + n.Refused.Why
	case n.Failed != nil && (o == nil || n.Failed.Order == o.ID):
		text = "failed: " + n.Failed.Why
	case n.Phase == records.Fetching:
		text = fmt.Sprintf("fetching: %s of %s, %s travelled", printable.Size(n.Fetched), printable.Size(n.Size), printable.Size(n.Bytes))
	case n.Phase == records.Idle && n.Have != 0 && n.Healthy == n.Have:
		text = "in order"
	}
	if text == "in order" && n.Content != "" { // of what it was before
		text = n.Content
	}
	if n.Error != "" && n.Failed == nil {
		text += "; will try again: " + n.Error
	}
	if n.Pinned != 0 {
		text += fmt.Sprintf("; pinned to %s@%d", channel, n.Pinned)
		if n.PinMessage != "" {
			text += " (" + n.PinMessage + ")"
		}
	}
	if n.Hook != nil {
		text += fmt.Sprintf("; its %s has not returned since %s", printable.Line(n.Hook.Name), n.Hook.Since.Local().Format(time.DateTime))
	}
	if n.RefusedPin != "" {
		text += "; a pin is refused: " + n.RefusedPin
	}
	if n.Content != "" && !strings.Contains(text, n.Content) {
		text += "; " + n.Content
	}
	if !n.Swapped.IsZero() {
		text += fmt.Sprintf("; swapped in at %s, pause %s", n.Swapped.Local().Format(time.TimeOnly), shortened(n.Pause))
	}
	if n.Twin != "" {
		text += "; its name is taken by another program, too: " + n.Twin
	}
	if n.ClockOff != 0 {
		text += fmt.Sprintf("; its clock is off by %s", n.ClockOff.Round(time.Second))
	}
	return text
}

// shortened leaves out what nobody reads of a pause.
func shortened(d time.Duration) time.Duration {
	if d >= time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(100 * time.Nanosecond)
}

// ProgressLine says how far an order is.
func ProgressLine(o rollout.Order, p rollout.Progress) string {
	var more []string
	if p.Phase != rollout.Awaiting && p.Phase != rollout.Done && p.Open > 0 {
		more = append(more, fmt.Sprintf("wave %d of %d is open", p.Open, len(p.Waves)))
	}
	if n := len(p.Failed); n > 0 && (p.Phase != rollout.Halted || p.Reason == rollout.ByOperator) {
		more = append(more, fmt.Sprintf("%d failed", n))
	}
	if n := len(p.Silent); n > 0 {
		more = append(more, fmt.Sprintf("%d silent", n))
	}
	if p.Reason != "" && p.Phase != rollout.Awaiting && p.Reason != rollout.ByOperator {
		more = append(more, p.Reason)
	}
	text := fmt.Sprintf("%s@%d %s", o.Channel, o.Version, phaseText(o, p))
	if len(more) > 0 {
		text += ": " + strings.Join(more, "; ")
	}
	return text
}

func phaseText(o rollout.Order, p rollout.Progress) string {
	switch {
	case p.Phase == rollout.Awaiting:
		return fmt.Sprintf("waits for approval of wave %d of %d", p.Open+1, len(p.Waves))
	case p.Phase == rollout.Halted && p.Reason == rollout.ByOperator:
		return "halted " + p.Reason
	case p.Phase == rollout.Soaking && !p.Since.IsZero():
		return "soaking until " + p.Since.Add(o.Soak).Local().Format(time.TimeOnly)
	}
	return string(p.Phase)
}

// Failures says which nodes have failed, and why; those with the same reason together.
func Failures(failed []rollout.Failed) string {
	const mostReasons, mostNodes = 3, 5
	var whys []string
	nodes := map[string][]string{}
	for _, f := range failed {
		if f.Why == "" {
			continue // many have failed: the first ones say why
		}
		if nodes[f.Why] == nil {
			whys = append(whys, f.Why)
		}
		nodes[f.Why] = append(nodes[f.Why], f.Node)
	}
	var each []string
	for _, why := range whys[:min(mostReasons, len(whys))] {
		names := nodes[why]
		text := strings.Join(names[:min(mostNodes, len(names))], ", ")
		if more := len(names) - mostNodes; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		each = append(each, text+": "+why)
	}
	return strings.Join(each, "; ")
}
