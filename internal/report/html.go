package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"qpt/internal/ui"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":    func() template.CSS { return template.CSS(style) },
	"size":     ui.Size,
	"count":    func(n int) string { return ui.Count(int64(n)) },
	"count64":  ui.Count,
	"rate":     rate,
	"pm":       pm,
	"short":    func(n Number) string { return short(float64(n)) },
	"plain":    func(n Number) string { return fmt.Sprint(float64(n)) },
	"fixed":    fixed,
	"ppl":      perplexity,
	"finite":   func(n Number) bool { return !math.IsNaN(float64(n)) },
	"percent":  percent,
	"signed":   signed,
	"decibel":  decibel,
	"plot":     func(v *Values) template.HTML { return both(480, valuesPlot(v)) },
	"klplot":   func(k KL) template.HTML { return both(770, klPlot(&k)) },
	"sizeplot": func(d *Doc) template.HTML { return both(1040, sizePlot(d)) },
	"letter":   func(i int) string { return fmt.Sprintf("%c", 'A'+i%26) },
	"grade":    grade,
	"visible":  visible,
	"profile":  newProfile,
	"bar":      func(p Number) template.CSS { return template.CSS(fmt.Sprintf("--p:%.1f%%", 100*float64(p))) },
	"weight":   (*Model).weight,
	"clipped":  clipped,
}).Parse(pageText))

// HTML writes the page.
func HTML(w io.Writer, d *Doc) error { return page.Execute(w, d) }

func fixed(digits int, n Number) string {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return strings.Replace(fmt.Sprintf("%.*f", digits, float64(n)), "-", "−", 1)
}

// perplexity prints enough digits to tell models apart.
func perplexity(n Number) string {
	if n >= 1000 {
		return fixed(0, n)
	}
	return fixed(4, n)
}

func percent(n Number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	return fixed(2, 100*n) + " %"
}

// signed is a share as a percentage with its sign.
func signed(n Number) string {
	if n >= 0 {
		return "+" + percent(n)
	}
	return percent(n)
}

func decibel(n Number) string {
	if math.IsInf(float64(n), 1) {
		return "exact"
	}
	return fixed(1, n)
}

// clipped prints a share of weights.
func clipped(n Number) string {
	if n == 0 {
		return "0"
	}
	return fixed(3, 100*n) + " %"
}

// pm prints a standard error, as a number or, with factor 100, in percent.
func pm(factor Number, n Number) string { return significant(float64(factor*n), 2) }

// rate is a number of tokens per second.
func rate(n Number) string {
	if n >= 1000 {
		return ui.Count(int64(math.Round(float64(n))))
	}
	return short(float64(n))
}

type gradeOf struct {
	Class, Words string
}

func grade(m *Model) gradeOf {
	n, words := m.Verdict()
	return gradeOf{[]string{"bad", "fair", "good", "best"}[n], words}
}

// visible shows line breaks and the spaces at the edges of a token.
func visible(s string) string {
	s = strings.NewReplacer("\n", "↵", "\t", "⇥", "\r", "␍").Replace(s)
	if t := strings.TrimLeft(s, " "); t != s {
		s = strings.Repeat("␣", len(s)-len(t)) + t
	}
	return s
}

// weight finds a matrix.
func (m *Model) weight(name string) *Weight {
	i := slices.IndexFunc(m.Weights, func(w Weight) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return &m.Weights[i]
}

// cell is a figure of the heat table.
type cell struct {
	Text, Title string
	Style       template.CSS
}

// HeatRow is a block's local SQNR by kind of layer.
type HeatRow struct {
	Block int
	Cells []cell
}

// Plot is the layer profile.
func (p *profile) Plot() template.HTML { return both(1040, p.draw) }

// Kinds are the legend.
func (p *profile) Kinds() []Series { return p.kinds }

// Rows are the heat table: the lower the SQNR, the stronger the tint.
func (p *profile) Rows() []HeatRow {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, q := range p.points {
		if v := float64(q.layer.Local.SQNR); !math.IsInf(v, 0) && !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	rows := make([]HeatRow, p.blocks)
	for b := range rows {
		rows[b] = HeatRow{b, make([]cell, len(p.kinds))}
	}
	for _, q := range p.points {
		v := q.layer.Local.SQNR
		tint := 0.0
		if hi > lo && !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) {
			tint = min(40*(hi-float64(v))/max(hi-lo, 12), 40) // small differences stay pale
		}
		rows[q.block].Cells[q.series] = cell{decibel(v), q.layer.Name + ", " + q.layer.Scheme, template.CSS(fmt.Sprintf("--t:%.0f%%", tint))}
	}
	return rows
}
