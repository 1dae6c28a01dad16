package fleet

import (
	"bytes"
	"fmt"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// view is what the engine has said of a channel, so far as the node obeys it.
//
// Who may read from the engine can have it put anything under the key of an order or a pin,
// also what was signed once and is not there any more. So a node with trusted keys obeys an
// order only if its serial is above that of the one before, and keeps that beside the database
// (see obeyed); and what is taken away from the engine holds on. The progress is signed by
// nobody: it says when a node takes the version of an order, and never which.
type view struct {
	keys          trust.Keys
	channel, node string

	caught   bool // everything that there was has come
	order    *rollout.Order
	progress *rollout.Progress
	pin      *rollout.Pin
	seen     [3]seen // of the three
	older    bool    // something older than that was told by this watch
	obeyed   obeyed  // order and pin, as they were signed

	// refused is the order that there is and that the node does not obey, and refusedPin says
	// that of a pin.
	refused    *rollout.Failure
	refusedPin string
}

// seen is which of a record was told last.
type seen struct {
	revision uint64
	at       time.Time
}

// older reports whether a record is older than what was seen, or is another one of the same revision:
// they are counted anew.
func (s seen) older(now records.Entry) bool {
	return now.Revision < s.revision || now.Revision == s.revision && !now.At.Equal(s.at)
}

// take takes a change of a record. A revision that is older than what was seen is ignored.
func (v *view) take(c records.Change) {
	newer := func(i int) bool {
		if v.seen[i].older(c.Entry) {
			v.older = true
			return false
		}
		is := c.Revision > v.seen[i].revision
		v.seen[i] = seen{c.Revision, c.At}
		return is
	}
	switch c.Kind {
	case records.Caught:
		v.caught = true
	case records.AnOrder:
		switch {
		case !newer(0):
		case len(v.keys) == 0:
			v.order = c.Order
		case c.Sealed != nil:
			v.obeyOrder(c)
		}
	case records.AProgress:
		if newer(1) {
			v.progress = c.Progress
		}
	case records.APin:
		switch {
		case !newer(2):
		case len(v.keys) == 0:
			v.pin = c.Pin
		case c.Sealed != nil:
			v.obeyPin(c)
		}
	}
}

// forget forgets what was told, but for what is obeyed because it is signed.
func (v *view) forget() {
	v.caught, v.progress, v.seen = false, nil, [3]seen{}
	if len(v.keys) == 0 {
		v.order, v.pin = nil, nil
	}
}

// obeyOrder takes an order that a trusted key has signed, unless it is an older one, or was
// made from an older one by somebody to whom that was shown as the latest.
func (v *view) obeyOrder(c records.Change) {
	o, err := c.Sealed.Order(v.keys, v.channel)
	if err == nil && v.order != nil {
		err = follows(o.Serial, v.order.Serial, c.Sealed, v.obeyed.Order)
		if err == nil && o.Serial != v.order.Serial && o.After != 0 && o.After < v.order.Serial {
			err = fmt.Errorf("the order is %w: it was made from one of %s, and one of %s is obeyed already", trust.ErrUntrusted, moment(o.After), moment(v.order.Serial))
		}
	}
	if err != nil {
		v.refused = &rollout.Failure{Order: c.Order.ID, Attempt: c.Order.Attempt, Version: c.Order.Version, Why: err.Error()}
		return
	}
	v.order, v.obeyed.Order, v.refused = o, c.Sealed, nil
}

// obeyPin is obeyOrder for a pin.
func (v *view) obeyPin(c records.Change) {
	p, err := c.Sealed.Pin(v.keys, v.channel, v.node)
	if err == nil && v.pin != nil {
		err = follows(p.Serial, v.pin.Serial, c.Sealed, v.obeyed.Pin)
	}
	if err != nil {
		v.refusedPin = ""
		if c.Pin.Version != 0 || v.pin != nil && v.pin.Version != 0 { // else it is a pin taken away from a node that has none
			v.refusedPin = err.Error()
		}
		return
	}
	v.pin, v.obeyed.Pin, v.refusedPin = p, c.Sealed, ""
}

// follows refuses what is older than what is obeyed, or is another one of the same serial.
func follows(serial, obeyed uint64, text, before *records.Sealed) error {
	if serial > obeyed || serial == obeyed && bytes.Equal(text.Text, before.Text) {
		return nil
	}
	return fmt.Errorf("it is %w: it is of %s, and one of %s is obeyed already", trust.ErrUntrusted, moment(serial), moment(obeyed))
}

// moment says when something of that serial was ordered, for people.
func moment(serial uint64) string { return time.UnixMilli(int64(serial)).UTC().Format(time.RFC3339) }

// toldOlder reports whether something older was told than the node has seen, since it was asked last.
func (d *database) toldOlder() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := d.view.older
	d.view.older = false
	return told
}

// tell takes a change of a record.
func (d *database) tell(c records.Change) {
	if c.Kind != records.Caught && c.Channel != d.channel {
		return
	}
	d.mu.Lock()
	refused, refusedPin := d.view.refused, d.view.refusedPin
	d.view.take(c)
	v := d.view
	news := refused != v.refused || refusedPin != v.refusedPin
	d.state.Refused, d.state.RefusedPin = v.refused, v.refusedPin
	d.mu.Unlock()
	if news {
		d.node.changed()
		if v.refused != nil && refused != v.refused {
			d.log.Error().Uint64("ordered", v.refused.Version).Msg("an order is refused: " + v.refused.Why)
		}
		if v.refusedPin != "" && refusedPin != v.refusedPin {
			d.log.Error().Msg("a pin is refused: " + v.refusedPin)
		}
	}
	if err := d.keep(); err != nil {
		d.log.Warn().Err(err).Msg("will be tried again before the next swap")
	}
	d.rouse()
}
