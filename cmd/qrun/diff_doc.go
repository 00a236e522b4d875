package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"qpt/format/graph"
	"qpt/internal/report"
	"qpt/internal/ui"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

func newModelDoc(path string, m *lm.Model, s *compare.LockStep) *report.Model {
	l := &s.Logits
	quantile := func(q float64) report.Number { return report.Number(l.KLQuantile(q)) }
	first, counts, under := diff.LogBins(l.KLs(), -8, klBins)
	d := &report.Model{
		File: path, Bytes: m.File.Size(), Scheme: m.Meta.Recipe.Scheme, Bits: report.Number(bitsPerWeight(m.Model)), Tool: m.Meta.Tool,
		Settings: settings(m.Model, m.KV()),
		KL: report.KL{Mean: report.Number(l.KL()), Median: quantile(0.5), P90: quantile(0.9), P99: quantile(0.99), P999: quantile(0.999), Max: quantile(1),
			Bins: report.Bins{First: report.Number(first), PerDecade: klBins, Counts: counts, Under: under}},
		Top1: report.Number(l.Top1()), Top5: report.Number(l.Top5()), Logits: distance(&l.Tensor),
	}
	if counts == nil {
		d.KL.Bins.Counts = []int{}
	}
	d.Layers = layerDocs(s)
	return d
}

// layerDocs words what was found about each node.
func layerDocs(s *compare.LockStep) (list []report.Layer) {
	maker := makers(s)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		x, y := n.Cumulative.Ranges()
		l := report.Layer{
			Name: n.Node.Name, Op: n.Node.Op.Kind(), Scheme: n.Scheme, Local: distance(&n.Local), Cumulative: distance(&n.Cumulative),
			FP32: rangeDoc(x), Quantized: rangeDoc(y),
		}
		if n.Scheme != "" {
			l.Weight = n.Node.Params[0]
		}
		if n.Scheme == "s8s8" {
			if in := maker[n.Node.In[0]]; in != nil {
				c := report.Number(in.Clipped)
				l.Clipped = &c
			}
		}
		list = append(list, l)
	}
	return list
}

// makers are the nodes by the value that they make.
func makers(s *compare.LockStep) map[string]*compare.NodeDiff {
	m := map[string]*compare.NodeDiff{}
	for i := range s.Nodes {
		m[s.Nodes[i].Node.Out[0]] = &s.Nodes[i]
	}
	return m
}

func distance(t *diff.Tensor) report.Distance {
	return report.Distance{SQNR: report.Number(t.SQNR()), Cosine: report.Number(t.Cosine()), MaxAbs: report.Number(t.MaxAbs())}
}

func rangeDoc(r diff.Range) report.Range {
	return report.Range{Min: report.Number(r.Min), Max: report.Number(r.Max)}
}

const (
	worstLayers = 3
	valueBins   = 96
	klBins      = 10 // a decade
)

// addWeights adds the matrices, and histograms of the layers that lose most.
func addWeights(d *report.Model, weights []compare.WeightDiff, s *compare.LockStep) {
	byName := map[string]*compare.WeightDiff{}
	for i := range weights {
		w := &weights[i]
		byName[w.Name] = w
		d.Weights = append(d.Weights, weightDoc(w))
	}
	maker := makers(s)
	var linears []*compare.NodeDiff
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if _, ok := n.Node.Op.(graph.Linear); ok && !math.IsInf(n.Local.SQNR(), 1) {
			linears = append(linears, n)
		}
	}
	slices.SortStableFunc(linears, func(a, b *compare.NodeDiff) int { return cmp.Compare(a.Local.SQNR(), b.Local.SQNR()) })
	for _, n := range linears[:min(worstLayers, len(linears))] {
		h := report.Histogram{Layer: n.Node.Name, Scheme: n.Scheme, SQNR: report.Number(n.Local.SQNR())}
		if w := byName[n.Node.Params[0]]; w != nil {
			limit, counts := diff.Bins(valueBins, &w.Values, &w.Quantized)
			h.Weight = &report.Values{Name: "weights", Limit: report.Number(limit), Counts: counts[0], Quantized: counts[1],
				Low: report.Number(w.Low), High: report.Number(w.High), Clipped: report.Number(w.Clipped)}
		}
		if in := maker[n.Node.In[0]]; in != nil {
			limit, counts := diff.Bins(valueBins, &in.Values)
			h.Input = &report.Values{Name: "inputs (" + in.Node.Name + ")", Limit: report.Number(limit), Counts: counts[0]}
			switch {
			case n.Scheme == "s8s8":
				h.Input.Fixed = true
				h.Input.Low, h.Input.High, h.Input.Clipped = report.Number(in.Low), report.Number(in.High), report.Number(in.Clipped)
			case strings.HasPrefix(n.Scheme, "da8") || strings.HasPrefix(n.Scheme, "a16"):
				h.Input.Low, h.Input.High = report.Number(-in.RowMax), report.Number(in.RowMax)
			}
		}
		d.WorstLayers = append(d.WorstLayers, h)
	}
}

func weightDoc(w *compare.WeightDiff) report.Weight {
	return report.Weight{Name: w.Name, Scheme: w.Scheme, SQNR: report.Number(w.SQNR()), MaxAbs: report.Number(w.MaxAbs()), Clipped: report.Number(w.Clipped)}
}

// tokenDocs words the predictions that differ most.
func tokenDocs(m *lm.Model, t *material, fp32, quantized *scores) []report.Token {
	var list []report.Token
	for _, w := range quantized.worst.Tokens() {
		before := t.fed[w.Seq][:w.Pos+1]
		x := report.Token{Window: w.Seq, Position: w.Pos, KL: report.Number(w.KL), Before: tail(decode(m, before), 160),
			FP32: choices(m, before, w.Ref), Quantized: choices(m, before, w.Got)}
		if id, ok := t.target(w.Seq, w.Pos); ok {
			x.Actual = &report.Actual{Text: next(m, before, id),
				FP32: report.Number(math.Exp(-fp32.nll[w.Seq][w.Pos])), Quantized: report.Number(math.Exp(-quantized.nll[w.Seq][w.Pos]))}
		}
		list = append(list, x)
	}
	return list
}

func choices(m *lm.Model, before []int32, list []diff.Choice) (out []report.Choice) {
	for _, c := range list {
		out = append(out, report.Choice{Text: next(m, before, c.ID), P: report.Number(c.P)})
	}
	return out
}

// decode is the text of ids, or their numbers without a tokenizer.
func decode(m *lm.Model, ids []int32) string {
	if tok, err := m.Tokenizer(); err == nil {
		return tok.Decode(ids, true)
	}
	return strings.Trim(fmt.Sprint(ids), "[]")
}

// next is the text that a token adds, or its name if that is no whole character.
func next(m *lm.Model, before []int32, id int32) string {
	tok, err := m.Tokenizer()
	if err != nil {
		return fmt.Sprint(id)
	}
	s := tok.NewStream(false)
	for _, b := range before[max(0, len(before)-8):] {
		s.Next(b)
	}
	if text := s.Next(id); text != "" {
		return text
	}
	name, _ := tok.Token(id)
	return name
}

// tail is the last n characters of a text.
func tail(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n:])
	}
	return s
}

// printDiff writes the report as text.
func printDiff(d *report.Doc) error {
	fmt.Fprintf(ui.Stdout, "model    %s (%s), %s parameters\n", d.Reference.Name, d.Reference.Architecture, ui.Count(d.Reference.Parameters))
	fmt.Fprintf(ui.Stdout, "text     %s of %s tokens of %s, %s of at most %d\n", ui.Count(int64(d.Text.Tokens)), ui.Count(int64(d.Text.Available)), d.Text.Source, windows(d.Text.Windows), d.Text.Window)
	fmt.Fprintf(ui.Stdout, "FP32     perplexity %s\n\n", perplexity(d.FP32))
	names := d.Names()
	files := ui.NewTable("file", "size", "bits", "tokens/s", "perplexity", "increase")
	kl := ui.NewTable("KL (nats)", "mean", "median", "90 %", "99 %", "99.9 %", "worst", "top-1", "top-5")
	for i, m := range d.Models {
		speed := "-"
		if m.Speed != nil {
			speed = rate(float64(*m.Speed))
		}
		files.Row(names[i], ui.Size(m.Bytes), fmt.Sprintf("%.2f", float64(m.Bits)), speed, perplexity(m.Perplexity), increase(m.Increase))
		kl.Row(names[i], three(m.KL.Mean), three(m.KL.Median), three(m.KL.P90), three(m.KL.P99), three(m.KL.P999), three(m.KL.Max),
			fmt.Sprintf("%.2f %%", 100*float64(m.Top1)), fmt.Sprintf("%.2f %%", 100*float64(m.Top5)))
	}
	if err := files.Print(ui.Stdout); err != nil {
		return err
	}
	fmt.Fprintln(ui.Stdout)
	if err := kl.Print(ui.Stdout); err != nil {
		return err
	}
	fmt.Fprint(ui.Stdout, "\nlocal: the layer alone, on FP32 inputs; all else: within the quantized run\nclipped: outside what the integers reach\n")
	for i, m := range d.Models {
		_, words := m.Verdict()
		fmt.Fprintf(ui.Stdout, "\n%s: %s\n", names[i], words)
		if err := printLayers(m); err != nil {
			return err
		}
		if len(m.WorstTokens) == 0 {
			continue
		}
		fmt.Fprintln(ui.Stdout)
		t := ui.NewTable("KL", "FP32", "p", "quantized", "p", "text before")
		for _, w := range m.WorstTokens {
			t.Row(three(w.KL), fmt.Sprintf("%q", w.FP32[0].Text), fmt.Sprintf("%.3f", float64(w.FP32[0].P)), fmt.Sprintf("%q", w.Quantized[0].Text), fmt.Sprintf("%.3f", float64(w.Quantized[0].P)), fmt.Sprintf("%q", tail(w.Before, 40)))
		}
		if err := t.Print(ui.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// printLayers writes a file's layers.
func printLayers(m *report.Model) error {
	header := []string{"layer", "scheme", "local SQNR", "cumulative SQNR", "cosine", "max-abs", "FP32 range", "quantized range", "weights SQNR", "weights clipped"}
	if m.Static() {
		header = append(header, "inputs clipped")
	}
	t := ui.NewTable(header...)
	for _, l := range m.Layers {
		if l.Op != "linear" && l.Op != "embedding" {
			continue
		}
		weights, clipped := "", ""
		for _, w := range m.Weights {
			if w.Name == l.Weight {
				weights, clipped = dB(float64(w.SQNR)), fmt.Sprintf("%.3f %%", 100*float64(w.Clipped))
			}
		}
		row := []any{l.Name, l.Scheme, dB(float64(l.Local.SQNR)), dB(float64(l.Cumulative.SQNR)), fmt.Sprintf("%.6f", float64(l.Cumulative.Cosine)), three(l.Cumulative.MaxAbs),
			between(l.FP32), between(l.Quantized), weights, clipped}
		if l.Clipped != nil {
			row = append(row, fmt.Sprintf("%.3f %%", 100*float64(*l.Clipped)))
		} else if m.Static() {
			row = append(row, "")
		}
		t.Row(row...)
	}
	return t.Print(ui.Stdout)
}

// perplexity prints enough digits to tell models apart, as the page does.
func perplexity(e *report.Estimate) string {
	if e.Value >= 1000 {
		return plusMinus(e, 1, "%.0f")
	}
	return plusMinus(e, 1, "%.4f")
}

// increase prints a share in percent, with its sign.
func increase(e *report.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "NaN"
	}
	return plusMinus(e, 100, "%+.2f") + " %"
}

// rate prints tokens per second.
func rate(v float64) string {
	if v >= 1000 {
		return ui.Count(int64(math.Round(v)))
	}
	return fmt.Sprintf("%.3g", v)
}

func windows(n int) string {
	if n == 1 {
		return "1 window"
	}
	return fmt.Sprintf("%d windows", n)
}

func three(n report.Number) string { return fmt.Sprintf("%.3g", float64(n)) }

func between(r report.Range) string {
	return fmt.Sprintf("%.3g .. %.3g", float64(r.Min), float64(r.Max))
}

// plusMinus prints an estimate times a factor, with its error if it has one.
func plusMinus(e *report.Estimate, factor float64, format string) string {
	s := fmt.Sprintf(format, factor*float64(e.Value))
	if !math.IsNaN(float64(e.StdErr)) {
		s += fmt.Sprintf(" +- %.2g", factor*float64(e.StdErr))
	}
	return s
}
