package report

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strings"
)

// narrow is the width of a plot on a phone; a page holds each plot in two
// widths and shows one, so that text has the same size on both.
const narrow = 358

// both draws a plot for a desk, in width w, and for a phone.
func both(w float64, draw func(w float64, class string) template.HTML) template.HTML {
	return draw(w, "plot wide") + draw(narrow, "plot narrow")
}

var blockNumber = regexp.MustCompile(`\.(\d+)\.`)

// place splits a layer's name into its block (-1 for none), group and kind:
// "model.layers.3.self_attn.q_proj" is 3, "self_attn", "q_proj".
func place(name string) (block int, group, kind string) {
	block = -1
	rest := name
	if m := blockNumber.FindStringSubmatchIndex(name); m != nil {
		fmt.Sscan(name[m[2]:m[3]], &block)
		rest = name[m[1]:]
	}
	parts := strings.Split(rest, ".")
	kind = parts[len(parts)-1]
	if len(parts) > 1 {
		group = parts[len(parts)-2]
	}
	return block, group, kind
}

// Series is a kind of layer with its mark.
type Series struct {
	kind  string
	Label string
	class string
	shape int
}

// Mark draws the series' mark for a legend.
func (s Series) Mark() template.HTML {
	c := newCanvas(14, 14, s.Label, "key")
	c.mark(s.shape, s.class, 7, 7, 4.5, "")
	return c.done()
}

// profile is the data of the layer profile and the heat table.
type profile struct {
	blocks int
	kinds  []Series
	points []point // linear layers
	stream []point // sums of the residual stream
	layers []Layer
}

type point struct {
	x      float64 // in blocks
	block  int
	series int
	layer  *Layer
}

func newProfile(m *Model) *profile {
	p := &profile{layers: m.Layers}
	groups := map[string]int{}
	shapes := map[string]int{}
	for i := range m.Layers {
		l := &m.Layers[i]
		block, group, kind := place(l.Name)
		p.blocks = max(p.blocks, block+1)
		if l.Op != "linear" || block < 0 {
			continue
		}
		if !slices.ContainsFunc(p.kinds, func(s Series) bool { return s.kind == kind }) {
			if _, ok := groups[group]; !ok {
				groups[group] = len(groups)
			}
			p.kinds = append(p.kinds, Series{kind, strings.TrimSuffix(kind, "_proj"), fmt.Sprintf("m c%d", groups[group]%3+1), shapes[group]})
			shapes[group]++
		}
	}
	for i := range m.Layers {
		l := &m.Layers[i]
		block, _, kind := place(l.Name)
		s := slices.IndexFunc(p.kinds, func(s Series) bool { return s.kind == kind })
		switch {
		case l.Op == "linear" && s >= 0 && block >= 0:
			p.points = append(p.points, point{float64(block) + (float64(s)+.5)/float64(len(p.kinds)), block, s, l})
		case l.Op == "embedding":
			p.stream = append(p.stream, point{-.15, -1, -1, l})
		case l.Op == "binary" && strings.HasSuffix(kind, "residual"):
			x := float64(block) + 1
			if strings.HasPrefix(kind, "attn") {
				x -= .5
			}
			p.stream = append(p.stream, point{x, block, -1, l})
		}
	}
	return p
}

// decibels gives ticks that cover these figures; equal tensors count as the top.
func decibels(points []point, of func(*Layer) Number) []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		if v := float64(of(p.layer)); !math.IsInf(v, 0) && !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if lo > hi {
		lo, hi = 0, 60
	}
	return nice(lo-1, hi+1, 4)
}

// draw is the layer profile: two panels above each other.
func (p *profile) draw(w float64, class string) template.HTML {
	const left, right, panel, gap = 40, 8, 168, 70
	h := float64(2*panel + gap + 66)
	c := newCanvas(w, h, "SQNR of the layers, local and cumulative", class)
	x := scale{-.3, float64(p.blocks) + .3, left, w - right}
	r := 3.6
	if w < 500 {
		r = 2.8
	}
	if p.blocks > 16 {
		r -= .8
	}
	for i, pan := range []struct {
		title  string
		of     func(*Layer) Number
		points []point
		stream bool
	}{
		{"Local, dB: a layer alone, on FP32 inputs", func(l *Layer) Number { return l.Local.SQNR }, p.points, false},
		{"Cumulative, dB: with all errors before it", func(l *Layer) Number { return l.Cumulative.SQNR }, p.points, true},
	} {
		top := 28 + float64(i)*(panel+gap)
		all := pan.points
		if pan.stream {
			all = slices.Concat(p.points, p.stream)
		}
		ticks := decibels(all, pan.of)
		y := scale{ticks[0], ticks[len(ticks)-1], top + panel, top}
		c.text("t strong", "start", 0, top-15, pan.title)
		for b := 0; b < p.blocks; b += 2 {
			c.rect("band", x.at(float64(b)), top, x.at(float64(b+1))-x.at(float64(b)), panel, "")
		}
		for _, t := range ticks {
			c.line("grid", left, y.at(t), w-right, y.at(t))
			c.text("t", "end", left-6, y.at(t)+4, short1(t))
		}
		if pan.stream {
			var line [][2]float64
			for _, q := range p.stream {
				line = append(line, [2]float64{x.at(q.x), y.at(value(pan.of(q.layer), y.hi))})
			}
			c.path("stream", line)
		}
		for _, q := range pan.points {
			s := p.kinds[q.series]
			v := value(pan.of(q.layer), y.hi)
			c.mark(s.shape, s.class, x.at(q.x), y.at(v), r, fmt.Sprintf("%s: %s", q.layer.Name, decibel(pan.of(q.layer))))
		}
		every := max(1, int(math.Ceil(float64(p.blocks)*22/(w-left-right))))
		for b := 0; b < p.blocks; b += every {
			c.text("t", "middle", x.at(float64(b)+.5), top+panel+16, fmt.Sprint(b))
		}
	}
	c.text("t", "end", w-right, h-4, "transformer block")
	return c.done()
}

func value(n Number, top float64) float64 {
	if v := float64(n); !math.IsNaN(v) {
		return min(v, top)
	}
	return math.Inf(-1)
}

// short1 prints a tick: a multiple of a round step, so that the digits beyond ten are those of the sum alone.
func short1(v float64) string { return strings.Replace(fmt.Sprintf("%.10g", v), "-", "−", 1) }

// klPlot is the histogram of the tokens' KL.
func klPlot(k *KL) func(w float64, class string) template.HTML {
	return func(w float64, class string) template.HTML {
		const left, right, top, h = 40, 10, 48, 260
		c := newCanvas(w, h, "Histogram of the KL divergence of the tokens", class)
		bins := k.Bins
		if len(bins.Counts) == 0 {
			words := "every token is the same as FP32’s"
			if math.IsNaN(float64(k.Mean)) {
				words = "no token has a finite KL"
			}
			c.text("t", "middle", w/2, h/2, words)
			return c.done()
		}
		lo := math.Floor(float64(bins.First))
		hi := math.Ceil(float64(bins.First) + float64(len(bins.Counts))/float64(bins.PerDecade))
		x := scale{lo, hi, left, w - right}
		ticks := nice(0, float64(slices.Max(bins.Counts)), 4)
		y := scale{0, ticks[len(ticks)-1], h - 36, top}
		for _, t := range ticks {
			c.line("grid", left, y.at(t), w-right, y.at(t))
			c.text("t", "end", left-6, y.at(t)+4, short1(t))
		}
		for i, n := range bins.Counts {
			a := float64(bins.First) + float64(i)/float64(bins.PerDecade)
			b := a + 1/float64(bins.PerDecade)
			if n > 0 {
				c.rect("bar", x.at(a)+.5, y.at(float64(n)), x.at(b)-x.at(a)-1, y.a-y.at(float64(n)),
					fmt.Sprintf("%s to %s nats: %d tokens", short(math.Pow(10, a)), short(math.Pow(10, b)), n))
			}
		}
		every := 1
		for (hi-lo)/float64(every) > w/60 {
			every++
		}
		for d := int(lo); d <= int(hi); d += every {
			c.text("t", "middle", x.at(float64(d)), h-18, power(d))
		}
		c.text("t", "end", w-right, h-3, "nats")
		var ends []float64 // of the labels in each row
		for _, q := range []struct {
			name string
			v    Number
		}{{"median", k.Median}, {"mean", k.Mean}, {"99 %", k.P99}} {
			if !(q.v > 0) {
				continue
			}
			at := x.at(math.Log10(float64(q.v)))
			c.line("rule", at, top-4, at, y.a)
			row := slices.IndexFunc(ends, func(end float64) bool { return at-22 > end })
			if row < 0 {
				row, ends = len(ends), append(ends, 0)
			}
			ends[row] = at + 26
			anchor := "middle"
			if at > w-40 {
				anchor = "end"
			}
			c.text("t strong", anchor, at, 39-13*float64(row), q.name)
		}
		return c.done()
	}
}

// valuesPlot is a histogram of values with counts on a log scale and the range of the quantizer.
func valuesPlot(v *Values) func(w float64, class string) template.HTML {
	return func(w float64, class string) template.HTML {
		const h, left, right, top, bottom = 190, 40, 10, 22, 26
		c := newCanvas(w, h, "Histogram of "+v.Name, class)
		limit := float64(v.Limit)
		if len(v.Counts) == 0 || limit == 0 {
			c.text("t", "middle", w/2, h/2, "all values are 0")
			return c.done()
		}
		most := slices.Max(v.Counts)
		if len(v.Quantized) > 0 {
			most = max(most, slices.Max(v.Quantized))
		}
		decades := max(1, math.Ceil(math.Log10(float64(most))))
		log := func(n float64) float64 { return math.Log10(n + 1) } // the bottom is no value, not one
		x := scale{-limit, limit, left, w - right}
		y := scale{0, log(math.Pow(10, decades)), h - bottom, top}
		height := func(n int64) float64 { return y.at(log(float64(n))) }
		grid := func(n float64, label string) {
			c.line("grid", left, y.at(log(n)), w-right, y.at(log(n)))
			c.text("t", "end", left-6, y.at(log(n))+4, label)
		}
		grid(0, "0")
		for d := decades; d > 0; d -= math.Ceil(decades / 4) {
			grid(math.Pow(10, d), power(int(d)))
		}
		edge := func(i int) float64 { return x.at(limit * (2*float64(i)/float64(len(v.Counts)) - 1)) }
		steps := func(counts []int64) (pts [][2]float64) {
			pts = append(pts, [2]float64{left, y.a})
			for i, n := range counts {
				pts = append(pts, [2]float64{edge(i), height(n)}, [2]float64{edge(i + 1), height(n)})
			}
			return append(pts, [2]float64{w - right, y.a})
		}
		c.path("area", steps(v.Counts))
		if len(v.Quantized) > 0 {
			c.path("outline", steps(v.Quantized))
		}
		if v.High != v.Low {
			for _, r := range []float64{float64(v.Low), float64(v.High)} {
				c.line("rule", x.at(r), top-6, x.at(r), y.a)
				anchor, dx := "end", -4.0 // outside the lines, inside at the edges of the plot
				if r < -limit*.8 || r > 0 && r < limit*.8 {
					anchor, dx = "start", 4
				}
				c.text("t strong", anchor, x.at(r)+dx, top-8, short(r))
			}
		}
		for _, t := range []float64{-limit, -limit / 2, 0, limit / 2, limit} {
			anchor := "middle"
			if t == limit {
				anchor = "end"
			} else if t == -limit {
				anchor = "start"
			}
			c.text("t", anchor, x.at(t), h-8, short(t))
		}
		return c.done()
	}
}

// sizePlot is size against accuracy, the area of a disc telling the speed.
func sizePlot(d *Doc) func(w float64, class string) template.HTML {
	return func(w float64, class string) template.HTML {
		const left, top, h, bottom = 46, 24, 340, 40
		right := 20.0
		if w > 500 {
			right = 110 // for labels
		}
		c := newCanvas(w, h, "Size against accuracy of the files", class)
		lo, hi := math.Inf(1), math.Inf(-1)
		kl0, kl1 := math.Inf(1), math.Inf(-1)
		fastest := 0.0
		for _, m := range d.Models {
			lo, hi = min(lo, float64(m.Bits)), max(hi, float64(m.Bits))
			if k := math.Log10(float64(m.KL.Mean)); !math.IsNaN(k) && !math.IsInf(k, 0) {
				kl0, kl1 = min(kl0, k), max(kl1, k)
			}
			if m.Speed != nil {
				fastest = max(fastest, float64(*m.Speed))
			}
		}
		if kl0 > kl1 {
			kl0, kl1 = -4, 0
		}
		xt := nice(lo-.4, hi+.4, 6)
		x := scale{xt[0], xt[len(xt)-1], left, w - right}
		y := scale{math.Floor(kl0 - .2), math.Ceil(kl1 + .2), h - bottom, top}
		for k := y.lo; k <= y.hi; k++ {
			c.line("grid", left, y.at(k), w-right, y.at(k))
			c.text("t", "end", left-8, y.at(k)+4, power(int(k)))
		}
		for _, t := range xt {
			c.line("grid", x.at(t), top, x.at(t), h-bottom)
			c.text("t", "middle", x.at(t), h-bottom+18, short1(t))
		}
		c.text("t strong", "start", 0, 11, "mean KL, nats")
		c.text("t strong", "end", w-right, h-4, "bits a weight")
		names := d.Names()
		type box struct{ x0, x1, y float64 }
		var taken []box
		for i, m := range d.Models {
			r := 6.0
			label := fmt.Sprintf("%c", 'A'+i%26)
			if m.Speed != nil && fastest > 0 {
				r = max(3, 14*math.Sqrt(float64(*m.Speed)/fastest))
			}
			k := math.Log10(max(float64(m.KL.Mean), math.Pow(10, y.lo)))
			px, py := x.at(float64(m.Bits)), y.at(k)
			c.mark(0, "disc c1", px, py, r, fmt.Sprintf("%s: %.2f bits a weight, KL %s", names[i], float64(m.Bits), short(float64(m.KL.Mean))))
			if w > 500 {
				label += "  " + m.Scheme
				if m.Speed != nil {
					label += fmt.Sprintf(", %s tokens/s", rate(*m.Speed))
				}
			}
			// To the right of the disc, or to the left at the edge; lower while something is there.
			width := 6.6 * float64(len(label))
			anchor, tx := "start", px+r+5
			b := box{tx, tx + width, py + 4}
			if b.x1 > w {
				anchor, tx = "end", px-r-5
				b = box{tx - width, tx, py + 4}
			}
			for slices.ContainsFunc(taken, func(o box) bool { return b.x0 < o.x1 && o.x0 < b.x1 && math.Abs(b.y-o.y) < 14 }) {
				b.y += 3
			}
			taken = append(taken, b)
			c.text("t strong halo", anchor, tx, b.y, label)
		}
		return c.done()
	}
}
