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

// loads are the loads of BenchmarkPause, with what to call them.
var loads = []struct {
	name, title string
	colour      color.Color
}{
	{"idle", "idle", green},
	{"readers", "8 readers", blue},
	{"writers", "8 readers, 2 writers", amber},
}

const shortest, longest = 0.1, 100.0

// drawPause draws the pause by the number of connections and by the size of
// the database, on one scale.
func drawPause(records [][]string) (*vgsvg.Canvas, error) {
	settings := map[string][]float64{}
	for _, r := range records {
		if len(r) != 2 {
			return nil, fmt.Errorf("%q: want 2 fields", r)
		}
		ms, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(r[0], "BenchmarkPause/")
		settings[name] = append(settings[name], ms)
	}
	for _, v := range settings {
		slices.Sort(v)
	}
	const width, height, top, split = 860, 330, 64, 500
	picture, area := sheet(width, height)
	area.FillText(bold(15), vg.Point{X: 14, Y: height - 22}, "How long a swap makes calls wait, in milliseconds")
	drawPauseKey(&area, height-44)

	byPool := newPlot(shortest, longest)
	byPool.X.Label.Text = "open connections (1 MB)"
	pools := []string{"1", "10", "100"}
	categories(byPool, pools)
	for i, n := range pools {
		for j, l := range loads {
			spread(byPool, float64(i)+0.22*float64(j-1), settings["pool="+n+"/load="+l.name], l.colour)
		}
	}
	bySize := newPlot(shortest, longest)
	bySize.X.Label.Text = "size of the database (10 connections, idle)"
	var sizes []string
	for _, s := range []string{"1", "100", "1000"} {
		if len(settings["size="+s+"MB"]) > 0 {
			sizes = append(sizes, s+" MB")
		}
	}
	categories(bySize, sizes)
	for i, s := range sizes {
		spread(bySize, float64(i), settings["size="+strings.ReplaceAll(s, " ", "")], loads[0].colour)
	}
	byPool.Draw(draw.Crop(area, 14, split-width, 10, -top))
	bySize.Draw(draw.Crop(area, split+20, -14, 10, -top))
	return picture, nil
}

// spread draws the median, a line from the shortest to the 99th percentile,
// and the longest.
func spread(p *plot.Plot, x float64, sorted []float64, c color.Color) {
	if len(sorted) == 0 {
		return
	}
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
	p.Add(line(plotter.XYs{{X: x, Y: at(0)}, {X: x, Y: at(0.99)}}, c, 2))
	mark(p, plotter.XYs{{X: x, Y: at(0.5)}}, glyph(draw.CircleGlyph{}, c, 4.5))
	mark(p, plotter.XYs{{X: x, Y: at(1)}}, glyph(draw.RingGlyph{}, c, 2.5))
	label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: at(0.5)}}, Labels: []string{strconv.FormatFloat(at(0.5), 'g', 2, 64)}})
	must(err)
	label.TextStyle[0] = style(9, ink)
	label.Offset = vg.Point{X: 7, Y: -3}
	p.Add(label)
}

func categories(p *plot.Plot, names []string) {
	for e := shortest; e <= longest; e *= 10 {
		p.Add(line(plotter.XYs{{X: -0.5, Y: e}, {X: float64(len(names)) - 0.5, Y: e}}, faint, 0.5))
	}
	p.NominalX(names...)
	p.X.Tick.Label.Font.Size = 10
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	p.Y.Min, p.Y.Max = shortest, longest
}

func drawPauseKey(area *draw.Canvas, y vg.Length) {
	k := key{area: area, at: vg.Point{X: 14, Y: y}, style: style(10, ink)}
	for _, l := range loads {
		k.add(l.title, 9, func(x, y vg.Length) {
			area.DrawGlyph(glyph(draw.CircleGlyph{}, l.colour, 4.5), vg.Point{X: x + 4, Y: y})
		})
	}
	k.at.X += 16
	k.add("median", 9, func(x, y vg.Length) {
		area.DrawGlyph(glyph(draw.CircleGlyph{}, grey, 4.5), vg.Point{X: x + 4, Y: y})
	})
	k.add("shortest to 99th percentile", 4, func(x, y vg.Length) {
		area.StrokeLine2(draw.LineStyle{Color: grey, Width: 2}, x+2, y-6, x+2, y+6)
	})
	k.add("longest", 6, func(x, y vg.Length) {
		area.DrawGlyph(glyph(draw.RingGlyph{}, grey, 2.5), vg.Point{X: x + 3, Y: y})
	})
}
