package main

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// panels are the ways in the order of drawing, with what to call them.
var panels = []struct{ way, title string }{
	{"hotswap", "hotswap"},
	{"rwmutex", "a RWMutex around *sql.DB: close, rename, open"},
	{"backup-api", "SQLite's backup API into the live file"},
	{"restart", "stop the process, rename, start it (HTTP)"},
	{"restart-keeping-the-socket", "the same, with the listening socket kept open (HTTP)"},
}

// call is a call or a swap; times are in milliseconds.
type call struct {
	start, took float64
	outcome     string
}

// series is what was recorded of one way.
type series struct{ calls, swaps []call }

const (
	bin     = 10.0 // milliseconds
	lowest  = 0.001
	highest = 2000
)

// drawTimeline draws a panel for each way, one below the other on the same
// scales: of every 10 ms the median and the slowest call, and all that failed.
// A slow one is drawn as long as it took.
func drawTimeline(records [][]string) (*vgsvg.Canvas, error) {
	ways, err := parseTimeline(records)
	if err != nil {
		return nil, err
	}
	until := math.Inf(1) // to where there is something of each way
	for _, s := range ways {
		until = min(until, s.calls[len(s.calls)-1].start)
	}
	const width, panel, top = 860, 118, 64
	height := vg.Length(top + panel*len(panels) + 6)
	picture, area := sheet(width, height)
	area.FillText(bold(15), vg.Point{X: 14, Y: height - 22}, "What callers feel while the database is replaced")
	drawTimelineKey(&area, height-44)
	left := panelLeft(newPlot(lowest, highest))
	for i, p := range panels {
		s, ok := ways[p.way]
		if !ok {
			continue
		}
		y := height - top - vg.Length(i)*panel // the panel's upper edge
		area.FillText(bold(11), vg.Point{X: left, Y: y - 12}, p.title)
		area.FillText(style(10, grey), vg.Point{X: left + widthOf(bold(11), p.title) + 10, Y: y - 12}, s.summary(until))
		cell := draw.Crop(area, 14, -14, y-panel, -(height - y + 18))
		s.plot(until, i == len(panels)-1).Draw(cell)
	}
	return picture, nil
}

// panelLeft is where the vertical axis of a panel is.
func panelLeft(p *plot.Plot) vg.Length {
	widest := vg.Length(0)
	for _, t := range (decades{}).Ticks(p.Y.Min, p.Y.Max) {
		widest = max(widest, p.Y.Tick.Label.Width(t.Label))
	}
	return 14 + widest + p.Y.Tick.Length + 6
}

func parseTimeline(records [][]string) (map[string]*series, error) {
	ways := map[string]*series{}
	for _, r := range records {
		if len(r) != 5 {
			return nil, fmt.Errorf("%q: want 5 fields", r)
		}
		start, err := strconv.ParseFloat(r[2], 64)
		if err != nil {
			return nil, err
		}
		took, err := strconv.ParseFloat(r[3], 64)
		if err != nil {
			return nil, err
		}
		s := ways[r[0]]
		if s == nil {
			s = &series{}
			ways[r[0]] = s
		}
		c := call{start, max(took, lowest), r[4]}
		if r[1] == "swap" {
			s.swaps = append(s.swaps, c)
		} else {
			s.calls = append(s.calls, c)
		}
	}
	for way, s := range ways {
		if len(s.calls) == 0 {
			return nil, fmt.Errorf("%s: no calls", way)
		}
		slices.SortFunc(s.calls, func(a, b call) int { return int(math.Copysign(1, a.start-b.start)) })
	}
	return ways, nil
}

// summary says in words what the panel shows.
func (s *series) summary(until float64) string {
	counts := map[string]int{}
	slowest := 0.0
	for _, c := range s.calls {
		if c.start <= until {
			slowest = max(slowest, c.took)
			counts[c.outcome]++
		}
	}
	text := fmt.Sprintf("slowest call %.0f ms, %d failed", slowest, counts["failed"])
	if n := counts["old"]; n > 0 {
		text += fmt.Sprintf(", %d used the old database after a swap", n)
	}
	if n := counts["mixed"]; n > 0 {
		text += fmt.Sprintf(", %d read both", n)
	}
	return text
}

func (s *series) plot(until float64, withAxis bool) *plot.Plot {
	p := newPlot(lowest, highest)
	p.X.Min, p.X.Max = 0, until/1000
	p.X.Tick.Marker = seconds{labels: withAxis}
	for _, w := range s.swaps {
		if w.start < until {
			p.Add(band(w.start/1000, min(w.start+w.took, until)/1000))
		}
	}
	for e := 0.01; e < highest; e *= 10 {
		p.Add(line(plotter.XYs{{X: 0, Y: e}, {X: until / 1000, Y: e}}, faint, 0.5))
	}
	var median, slowest, failed, wrong plotter.XYs
	for at := 0; at < len(s.calls) && s.calls[at].start <= until; {
		first, edge := at, math.Floor(s.calls[at].start/bin)*bin+bin
		var took []float64
		bad := false
		for ; at < len(s.calls) && s.calls[at].start < edge; at++ {
			c := s.calls[at]
			took = append(took, c.took)
			bad = bad || c.outcome == "old" || c.outcome == "mixed"
			if c.outcome == "failed" {
				failed = append(failed, plotter.XY{X: c.start / 1000, Y: c.took})
			}
		}
		slices.Sort(took)
		x := (edge - bin/2) / 1000
		median = append(median, plotter.XY{X: x, Y: took[len(took)/2]})
		worst := slices.MaxFunc(s.calls[first:at], func(a, b call) int { return int(math.Copysign(1, a.took-b.took)) })
		if worst.took > bin/2 {
			p.Add(line(plotter.XYs{{X: worst.start / 1000, Y: worst.took}, {X: min(worst.start+worst.took, until) / 1000, Y: worst.took}}, blue, 1))
		}
		slowest = append(slowest, plotter.XY{X: worst.start / 1000, Y: worst.took})
		if bad {
			wrong = append(wrong, plotter.XY{X: x, Y: 0.0018})
		}
	}
	p.Add(line(median, grey, 0.8))
	mark(p, slowest, glyph(draw.CircleGlyph{}, blue, 1.4))
	mark(p, wrong, glyph(draw.BoxGlyph{}, amber, 1.8))
	mark(p, failed, glyph(draw.CrossGlyph{}, red, 3))
	return p
}

// seconds marks every half of one.
type seconds struct{ labels bool }

func (s seconds) Ticks(from, to float64) []plot.Tick {
	var ticks []plot.Tick
	for v := 0.0; v <= to; v += 0.5 {
		t := plot.Tick{Value: v, Label: " "}
		if s.labels {
			t.Label = strconv.FormatFloat(v, 'f', 1, 64) + " s"
		}
		ticks = append(ticks, t)
	}
	return ticks
}

func band(from, to float64) plot.Plotter {
	p, err := plotter.NewPolygon(plotter.XYs{{X: from, Y: lowest}, {X: to, Y: lowest}, {X: to, Y: highest}, {X: from, Y: highest}})
	must(err)
	p.Color = shadow
	p.LineStyle.Width = 0
	return p
}

func line(xys plotter.XYs, c color.Color, width vg.Length) plot.Plotter {
	l, err := plotter.NewLine(xys)
	must(err)
	l.LineStyle = draw.LineStyle{Color: c, Width: width}
	return l
}

func mark(p *plot.Plot, xys plotter.XYs, g draw.GlyphStyle) {
	if len(xys) == 0 {
		return
	}
	s, err := plotter.NewScatter(xys)
	must(err)
	s.GlyphStyle = g
	p.Add(s)
}

// must is for errors about values that are no numbers: none get here.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func drawTimelineKey(area *draw.Canvas, y vg.Length) {
	k := key{area: area, at: vg.Point{X: 14, Y: y}, style: style(10, ink)}
	k.add("a swap, with the copy of the new file", 14, func(x, y vg.Length) {
		area.FillPolygon(shadow, []vg.Point{{X: x, Y: y - 5}, {X: x + 14, Y: y - 5}, {X: x + 14, Y: y + 6}, {X: x, Y: y + 6}})
	})
	k.add("slowest call of each 10 ms", 6, func(x, y vg.Length) {
		area.DrawGlyph(glyph(draw.CircleGlyph{}, blue, 2.2), vg.Point{X: x + 3, Y: y})
	})
	k.add("median", 14, func(x, y vg.Length) {
		area.StrokeLine2(draw.LineStyle{Color: grey, Width: 1}, x, y, x+14, y)
	})
	k.add("failed call", 8, func(x, y vg.Length) {
		area.DrawGlyph(glyph(draw.CrossGlyph{}, red, 3.2), vg.Point{X: x + 4, Y: y})
	})
	k.add("somebody uses the old database, or both", 12, func(x, y vg.Length) {
		area.FillPolygon(amber, []vg.Point{{X: x, Y: y - 2}, {X: x + 12, Y: y - 2}, {X: x + 12, Y: y + 2}, {X: x, Y: y + 2}})
	})
}
