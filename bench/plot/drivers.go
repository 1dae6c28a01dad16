package main

import (
	"fmt"
	"image/color"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// compared are the drivers of bench/drivers that are drawn.
var compared = []struct {
	name, title string
	colour      color.Color
}{
	{"hotswap", "hotswap", green},
	{"modernc", "modernc.org/sqlite", amber},
	{"ncruces", "ncruces/go-sqlite3", red},
	{"zombiezen", "zombiezen.com/go/sqlite (not database/sql)", blue},
}

const leastRatio, mostRatio = 0.2, 4.5

// drawDrivers draws each driver's time over go-sqlite3's, by the kind of call: the median, and
// a line from the 10th to the 90th percentile.
func drawDrivers(records [][]string) (*vgsvg.Canvas, error) {
	var ops []string
	ratios := map[string][3]float64{} // median, 10th and 90th percentile
	for _, r := range records {
		if len(r) != 6 {
			return nil, fmt.Errorf("%q: want 6 fields", r)
		}
		var v [3]float64
		for i := range v {
			var err error
			if v[i], err = strconv.ParseFloat(r[2+i], 64); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(ops, r[0]) {
			ops = append(ops, r[0])
		}
		ratios[r[0]+" "+r[1]] = v
	}
	const width, height, top = 860, 340, 64
	picture, area := sheet(width, height)
	area.FillText(bold(15), vg.Point{X: 14, Y: height - 22}, "What a call takes, over what it takes with go-sqlite3")
	k := key{area: &area, at: vg.Point{X: 14, Y: height - 44}, style: style(10, ink)}
	for _, d := range compared {
		k.add(d.title, 9, func(x, y vg.Length) {
			area.DrawGlyph(glyph(draw.CircleGlyph{}, d.colour, 4.5), vg.Point{X: x + 4, Y: y})
		})
	}
	p := newPlot(leastRatio, mostRatio)
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0.25, Label: "¼"}, {Value: 0.5, Label: "½"}, {Value: 1, Label: "1"}, {Value: 2, Label: "2"}, {Value: 4, Label: "4"}}
	for _, t := range p.Y.Tick.Marker.Ticks(leastRatio, mostRatio) {
		c, thick := faint, vg.Length(0.5)
		if t.Value == 1 {
			c, thick = grey, 1
		}
		p.Add(line(plotter.XYs{{X: -0.5, Y: t.Value}, {X: float64(len(ops)) - 0.5, Y: t.Value}}, c, thick))
	}
	var names []string
	for x, op := range ops {
		names = append(names, strings.Replace(strings.Replace(op, "-of-", "\nof ", 1), "-row-", "-row\n", 1))
		for i, d := range compared {
			v, ok := ratios[op+" "+d.name]
			if !ok {
				continue
			}
			at := float64(x) + 0.2*(float64(i)-1.5)
			p.Add(line(plotter.XYs{{X: at, Y: v[1]}, {X: at, Y: v[2]}}, d.colour, 1.5))
			mark(p, plotter.XYs{{X: at, Y: v[0]}}, glyph(draw.CircleGlyph{}, d.colour, 4))
		}
	}
	p.NominalX(names...)
	p.X.Tick.Label.Font.Size = 9
	p.X.Min, p.X.Max = -0.5, float64(len(ops))-0.5
	p.Y.Min, p.Y.Max = leastRatio, mostRatio
	p.Draw(draw.Crop(area, 14, -14, 10, -top))
	return picture, nil
}
