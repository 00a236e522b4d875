package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// canvas is an SVG drawing in units of CSS pixels.
type canvas struct {
	b    strings.Builder
	w, h float64
}

func newCanvas(w, h float64, label, class string) *canvas {
	c := &canvas{w: w, h: h}
	fmt.Fprintf(&c.b, `<svg class="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">`, class, px(w), px(h), html.EscapeString(label))
	return c
}

func (c *canvas) done() template.HTML {
	c.b.WriteString("</svg>")
	return template.HTML(c.b.String())
}

// px prints a coordinate, two decimals at most.
func px(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

func (c *canvas) line(class string, x0, y0, x1, y1 float64) {
	fmt.Fprintf(&c.b, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, px(x0), px(y0), px(x1), px(y1))
}

func (c *canvas) rect(class string, x, y, w, h float64, title string) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s">%s</rect>`, class, px(x), px(y), px(w), px(h), tip(title))
}

// text is anchored at "start", "middle" or "end".
func (c *canvas) text(class, anchor string, x, y float64, s string) {
	fmt.Fprintf(&c.b, `<text class="%s" text-anchor="%s" x="%s" y="%s">%s</text>`, class, anchor, px(x), px(y), html.EscapeString(s))
}

// path joins points; an area closes it along the line y = base.
func (c *canvas) path(class string, pts [][2]float64) {
	if len(pts) == 0 {
		return
	}
	fmt.Fprintf(&c.b, `<path class="%s" d="`, class)
	for i, p := range pts {
		cmd := "L"
		if i == 0 {
			cmd = "M"
		}
		c.b.WriteString(cmd + px(p[0]) + " " + px(p[1]))
	}
	c.b.WriteString(`"/>`)
}

// markers are the shapes of marks, told apart without colour.
const markers = 5

// mark draws a small shape around x, y.
func (c *canvas) mark(shape int, class string, x, y, r float64, title string) {
	fmt.Fprintf(&c.b, `<path class="%s" d="`, class)
	at := func(cmd string, dx, dy float64) { c.b.WriteString(cmd + px(x+dx*r) + " " + px(y+dy*r)) }
	switch shape % markers {
	case 0: // disc
		at("M", -1, 0)
		fmt.Fprintf(&c.b, "a%s %s 0 1 0 %s 0a%s %s 0 1 0 %s 0", px(r), px(r), px(2*r), px(r), px(r), px(-2*r))
	case 1: // square
		at("M", -.9, -.9)
		at("L", .9, -.9)
		at("L", .9, .9)
		at("L", -.9, .9)
	case 2: // triangle
		at("M", 0, -1.15)
		at("L", 1.1, .85)
		at("L", -1.1, .85)
	case 3: // diamond
		at("M", 0, -1.25)
		at("L", 1.25, 0)
		at("L", 0, 1.25)
		at("L", -1.25, 0)
	case 4: // triangle, tip down
		at("M", 0, 1.15)
		at("L", 1.1, -.85)
		at("L", -1.1, -.85)
	}
	fmt.Fprintf(&c.b, `Z">%s</path>`, tip(title))
}

func tip(s string) string {
	if s == "" {
		return ""
	}
	return "<title>" + html.EscapeString(s) + "</title>"
}

// scale maps [lo, hi] to [a, b].
type scale struct{ lo, hi, a, b float64 }

func (s scale) at(v float64) float64 {
	v = min(max(v, s.lo), s.hi)
	return s.a + (v-s.lo)/(s.hi-s.lo)*(s.b-s.a)
}

// nice returns multiples of 1, 2 or 5 times a power of ten that cover [lo, hi], about n of them.
func nice(lo, hi float64, n int) (ticks []float64) {
	if !(hi > lo) {
		hi = lo + 1
	}
	raw := (hi - lo) / float64(n)
	base := math.Pow(10, math.Floor(math.Log10(raw)))
	step := base * 10
	for _, f := range []float64{1, 2, 5} {
		if raw <= f*base {
			step = f * base
			break
		}
	}
	first, last := math.Floor(lo/step+1e-9), math.Ceil(hi/step-1e-9)
	for i := first; i <= last; i++ {
		ticks = append(ticks, i*step)
	}
	return ticks
}

// short prints a number with three digits, without an exponent where it can.
func short(v float64) string { return significant(v, 3) }

// significant prints the first n digits, two of them where there is an exponent.
func significant(v float64, n int) string {
	if v == 0 {
		return "0"
	}
	a := math.Abs(v)
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return "–"
	}
	if a < 1e-4 || a >= 1e6 {
		m, e, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
		exp, _ := strconv.Atoi(e)
		return strings.Replace(m, "-", "−", 1) + "·" + power(exp)
	}
	digits := max(0, n-1-int(math.Floor(math.Log10(a))))
	s := strconv.FormatFloat(v, 'f', digits, 64)
	return strings.Replace(s, "-", "−", 1)
}

// power is 10^n in one word.
func power(n int) string {
	return "10" + strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").Replace(strconv.Itoa(n))
}
