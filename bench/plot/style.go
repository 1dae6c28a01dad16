package main

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours that people with any sight tell apart (Okabe and Ito).
var (
	blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	green  = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	red    = color.RGBA{0xd5, 0x1e, 0x00, 0xff}
	amber  = color.RGBA{0xe6, 0x9f, 0x00, 0xff}
	ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
	grey   = color.RGBA{0x66, 0x66, 0x66, 0xff}
	faint  = color.RGBA{0xe4, 0xe4, 0xe4, 0xff}
	shadow = color.RGBA{0xd6, 0xe4, 0xee, 0xff}
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// sheet is an empty white picture.
func sheet(width, height vg.Length) (*vgsvg.Canvas, draw.Canvas) {
	c := vgsvg.New(width, height)
	area := draw.New(c)
	area.FillPolygon(color.White, []vg.Point{{X: 0, Y: 0}, {X: width, Y: 0}, {X: width, Y: height}, {X: 0, Y: height}})
	return c, area
}

func style(size vg.Length, c color.Color) text.Style {
	return text.Style{Color: c, Font: font.From(plot.DefaultFont, size), Handler: plot.DefaultTextHandler}
}

func bold(size vg.Length) text.Style {
	s := style(size, ink)
	s.Font.Weight = 2 // x/image/font.WeightBold
	return s
}

// newPlot is an empty plot with a logarithmic axis of milliseconds.
func newPlot(lowest, highest float64) *plot.Plot {
	p := plot.New()
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = decades{}
	p.Y.Min, p.Y.Max = lowest, highest
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font.Size = 9
		axis.Tick.Label.Color = grey
		axis.Tick.LineStyle.Color = grey
		axis.Tick.Length = 3
		axis.LineStyle.Color = grey
		axis.Label.TextStyle.Font.Size = 10
		axis.Label.TextStyle.Color = grey
		axis.Padding = 0
	}
	return p
}

// decades marks powers of ten of milliseconds, in the unit that suits them.
type decades struct{}

func (decades) Ticks(lowest, highest float64) []plot.Tick {
	names := map[int]string{-3: "1 µs", -2: "10 µs", -1: "0.1 ms", 0: "1 ms", 1: "10 ms", 2: "100 ms", 3: "1 s", 4: "10 s"}
	var ticks []plot.Tick
	const slack = 1e-9 // the logarithm of 0.1 is not quite -1
	for e := int(math.Ceil(math.Log10(lowest) - slack)); e <= int(math.Floor(math.Log10(highest)+slack)); e++ {
		ticks = append(ticks, plot.Tick{Value: math.Pow10(e), Label: names[e]})
	}
	return ticks
}

// key draws the legend as a line of text from left on: where no data is.
type key struct {
	area  *draw.Canvas
	at    vg.Point
	style text.Style
}

// add draws a mark of so much width, and its name.
func (k *key) add(name string, width vg.Length, mark func(left, y vg.Length)) {
	mark(k.at.X, k.at.Y+3)
	k.at.X += width + 4
	k.area.FillText(k.style, k.at, name)
	k.at.X += widthOf(k.style, name) + 16
}

// widthOf leaves room for the fonts of other machines: a viewer without this
// one takes its own, and some are a third wider.
func widthOf(s text.Style, line string) vg.Length { return s.Width(line) * 1.35 }

func glyph(shape draw.GlyphDrawer, c color.Color, radius vg.Length) draw.GlyphStyle {
	return draw.GlyphStyle{Shape: shape, Color: c, Radius: radius}
}
