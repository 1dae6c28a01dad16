package fleetview

import (
	"fmt"
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
	if o.Kind == rollout.Rollback {
		text = "rollback to " + text
	}
	if o.Message != "" {
		text += " (" + o.Message + ")"
	}
	return text
}

// Has says which version the node has.
func (n Node) Has(channel string) string {
	switch {
	case n.Silent:
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
func (n Node) State(o *rollout.Order) string {
	if n.Silent {
		return "silent"
	}
	text := string(n.Phase)
	switch {
	case n.Refused != nil && o != nil && n.Refused.Order == o.ID:
		text = "refused: " + n.Refused.Why
	case n.Failed != nil && (o == nil || n.Failed.Order == o.ID):
		text = "failed: " + n.Failed.Why
	case n.Phase == records.Fetching:
		text = fmt.Sprintf("fetching: %s of %s, %s travelled", printable.Size(n.Fetched), printable.Size(n.Size), printable.Size(n.Bytes))
	case n.Phase == records.Idle && n.Have != 0 && n.Healthy == n.Have:
		text = "in order"
	}
	if n.Error != "" && n.Failed == nil {
		text += "; tried again: " + n.Error
	}
	if n.Pinned != 0 {
		text += "; pinned"
	}
	if n.RefusedPin != "" {
		text += "; a pin is refused: " + n.RefusedPin
	}
	if n.Content != "" {
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
	text := string(p.Phase)
	if len(p.Waves) > 0 && p.Phase != rollout.Done {
		text += fmt.Sprintf(": wave %d of %d is open", p.Open, len(p.Waves))
		if p.Open == 0 {
			text = fmt.Sprintf("%s: no wave of %d is open yet", p.Phase, len(p.Waves))
		}
	}
	if n := len(p.Failed); n > 0 {
		text += fmt.Sprintf("; %d failed", n)
	}
	if n := len(p.Silent); n > 0 {
		text += fmt.Sprintf("; %d silent", n)
	}
	if p.Reason != "" {
		text += "; " + p.Reason
	}
	return fmt.Sprintf("%s@%d %s", o.Channel, o.Version, text)
}
