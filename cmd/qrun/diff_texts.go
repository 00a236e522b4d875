package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qpt/convert/checkpoint"
	"qpt/internal/cli"
	"qpt/internal/report"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/tokenizer"
)

// textsDiff is the document of qrun diff on encoders.
type textsDiff struct {
	Schema    int               `json:"schema"`
	Command   string            `json:"command"`
	Tool      string            `json:"tool"`
	Reference *report.Reference `json:"reference"` // null: the FP32 results in each file
	Source    string            `json:"texts_from"`
	Texts     int               `json:"texts"`
	Available int               `json:"texts_available"`
	Tokens    int               `json:"tokens"`
	Output    string            `json:"output"`
	Models    []*textsModel     `json:"models"`
}

// textsModel is one file of it: of an output of vectors it has cosines, of logits differences, over classes also KL.
type textsModel struct {
	File       string           `json:"file"`
	Bytes      int64            `json:"bytes"`
	Scheme     string           `json:"scheme"`
	Bits       number           `json:"bits_per_weight"`
	Tool       string           `json:"tool"`
	Settings   []report.Setting `json:"settings"`
	Cosine     *spread          `json:"cosine,omitempty"`     // of each text the least of its rows
	Difference *spread          `json:"difference,omitempty"` // of each text the greatest of its logits
	KL         *number          `json:"kl_mean,omitempty"`
	KLMax      *number          `json:"kl_max,omitempty"`
	Top1       *number          `json:"top1_agreement,omitempty"`
	Values     tensorDoc        `json:"values"`
	Speed      *number          `json:"texts_per_second,omitempty"`
	Worst      []worstText      `json:"worst_texts"`
	Layers     []report.Layer   `json:"layers,omitempty"`
	Weights    []report.Weight  `json:"weights,omitempty"`

	results *compare.Results
	limits  error
}

// spread is what texts have, from the worst on.
type spread struct {
	Worst  number `json:"worst"`
	Of1    number `json:"of_1_percent"` // but for 1 % of the texts no worse
	Of10   number `json:"of_10_percent"`
	Median number `json:"median"`
}

// worstText is one of those that differ most.
type worstText struct {
	Line  int    `json:"line"` // or number, from 1
	Text  string `json:"text"`
	Value number `json:"value"` // its cosine or difference
	FP32  string `json:"fp32,omitempty"`
	Got   string `json:"quantized,omitempty"`
}

// Kinds of files as qrun diff names them.
const (
	languageModel = "a language model"
	textEncoder   = "an encoder of texts"
	network       = "a network on pictures or tensors"
)

func kindOf(m *runtime.Model) string {
	switch {
	case isNetwork(m):
		return network
	case encoder.Check(m.Graph) == nil:
		return textEncoder
	}
	return languageModel
}

// openAll loads the files, which are all of one kind.
func (d *diffOptions) openAll(paths []string) (models []*runtime.Model, kind string, end func(), err error) {
	end = func() {
		for _, m := range models {
			m.Close()
		}
	}
	opt, err := d.settings()
	if err != nil {
		return nil, "", nil, err
	}
	for i, path := range paths {
		m, err := runtime.Load(path, opt)
		if err != nil {
			end()
			return nil, "", nil, err
		}
		models = append(models, m)
		this := kindOf(m)
		if i == 0 {
			kind = this
		}
		if this != kind {
			end()
			return nil, "", nil, fmt.Errorf("%w: %s is %s, %s is %s: compare them one by one", cli.ErrUsage, paths[0], kind, path, this)
		}
	}
	return models, kind, end, nil
}

// checkTexts refuses what cannot be asked of encoders.
func (d *diffOptions) checkTexts(c *cobra.Command, path string) error {
	for _, f := range []string{"html", "window", "max-ppl-increase"} {
		if c.Flags().Changed(f) {
			return fmt.Errorf("%w: --%s is for language models, %s is an encoder (--json has the report as data)", cli.ErrUsage, f, path)
		}
	}
	if d.ref == "" && d.text != "" {
		return fmt.Errorf("%w: --text needs --ref: FP32 results of texts that are not in the file are the original's", cli.ErrUsage)
	}
	return nil
}

// runTexts is qrun diff on encoders.
func (d *diffOptions) runTexts(ctx context.Context, paths []string, loaded []*runtime.Model, l limits) error {
	var models []*encoder.Model
	for _, r := range loaded {
		m, err := encoder.New(r)
		if err != nil {
			return err
		}
		if err := l.fit(encoder.Result(m.Graph)); err != nil {
			return err
		}
		models = append(models, m)
	}
	doc := &textsDiff{Schema: 1, Command: "diff", Tool: "qrun " + cli.Version()}
	for i, m := range models {
		doc.Models = append(doc.Models, &textsModel{File: paths[i], Bytes: m.File.Size(), Scheme: m.Meta.Recipe.Scheme, Bits: number(bitsPerWeight(m.Model)), Tool: m.Meta.Tool, Settings: settings(m.Model, "")})
	}
	in, lines, encodings, err := d.inputs(ctx, models[0], doc)
	if err != nil {
		return err
	}
	if d.ref == "" {
		for i, m := range models {
			r, err := compare.CheckEncoder(ctx, m)
			if err != nil {
				return err
			}
			doc.Models[i].results = r
		}
	} else if err := d.lockTexts(ctx, models, encodings, doc); err != nil {
		return err
	}
	doc.Texts, doc.Tokens, doc.Output = doc.Models[0].results.Texts, doc.Models[0].results.Tokens, doc.Models[0].results.Output
	if d.speed {
		if err := textSpeeds(ctx, models, encodings, doc); err != nil {
			return err
		}
	}
	var missed error
	for i, x := range doc.Models {
		x.fill(models[i], in, lines, d.worst)
		if x.limits = l.checkResults(x.results); x.limits != nil && missed == nil {
			missed = x.limits
		}
	}
	if d.JSON {
		return cmp.Or(cli.Document(doc), missed)
	}
	return cmp.Or(doc.print(), missed)
}

// inputs reads the texts, or takes those in the first file, as many as --tokens lets through.
func (d *diffOptions) inputs(ctx context.Context, m *encoder.Model, doc *textsDiff) (in []encoder.Input, lines []int, list []tokenizer.Encoding, err error) {
	doc.Source = "the texts in the file"
	if d.text != "" {
		doc.Source = filepath.Base(d.text)
		all, err := (&texts{options: d.options, input: d.text}).read(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		for i, t := range all {
			if strings.TrimSpace(t.Text+t.Pair) == "" {
				continue
			}
			e, err := m.Encode(ctx, t)
			if err != nil {
				return nil, nil, nil, err
			}
			in, lines, list = append(in, t), append(lines, i+1), append(list, e)
		}
	} else {
		refs, err := m.References()
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%w: --ref CHECKPOINT --text FILE compares with the original", err)
		}
		for i, c := range refs.Cases {
			text, pair, _ := strings.Cut(c.Prompt, "\n")
			in, lines = append(in, encoder.Input{Text: text, Pair: pair}), append(lines, i+1)
		}
		list = compare.Encodings(refs)
	}
	doc.Available = len(in)
	if len(in) == 0 {
		return nil, nil, nil, fmt.Errorf("%w: %s: no text to compare on", errInput, doc.Source)
	}
	n, tokens := 0, 0
	for ; n < len(in) && (n == 0 || d.ref == "" || tokens+len(list[n].IDs) <= d.tokens); n++ {
		tokens += len(list[n].IDs)
	}
	return in[:n], lines[:n], list[:n], nil
}

// lockTexts runs the original in FP32 and the files beside it.
func (d *diffOptions) lockTexts(ctx context.Context, models []*encoder.Model, list []tokenizer.Encoding, doc *textsDiff) error {
	ckpt, err := checkpoint.Weights(d.ref)
	if err != nil {
		return fmt.Errorf("--ref: %w", err)
	}
	defer ckpt.Close()
	for i, m := range models {
		if err := isOriginal(m.Model, ckpt, d.ref); err != nil {
			return fmt.Errorf("%s: %w", doc.Models[i].File, err)
		}
		doc.Models[i].results = compare.NewResults(m, list)
	}
	g := models[0].Graph
	name, _ := encoder.Result(g)
	shape := g.ValueMap()[name].Shape
	width := int(shape[len(shape)-1])
	bar := ui.NewProgress(d.Verbosity(), "comparing", int64(len(list)*len(g.Nodes)), ui.Count)
	steps, err := compare.RunTexts(ctx, models, ckpt, list, compare.TextsOptions{
		Progress: func(done, _ int) { bar.Set(int64(done)) },
		Result: func(text int, want []float32, got [][]float32) {
			for i, y := range got {
				for from := 0; from < len(want); from += width {
					doc.Models[i].results.Add(text, want[from:from+width], y[from:from+width])
				}
			}
		},
	})
	bar.Done()
	if err != nil {
		return err
	}
	for i, s := range steps {
		weights, err := s.Weights(ckpt)
		if err != nil {
			return err
		}
		doc.Models[i].Layers = layerDocs(s)
		for j := range weights {
			doc.Models[i].Weights = append(doc.Models[i].Weights, weightDoc(&weights[j]))
		}
	}
	info := models[0].Meta.Model
	doc.Reference = &report.Reference{Name: info.Name, Architecture: info.Architecture, Parameters: info.Parameters, Path: d.ref}
	return nil
}

// checkResults compares an encoder's results with the limits.
func (l *limits) checkResults(r *compare.Results) error {
	if r.Classes != nil {
		return l.check(r.Classes)
	}
	return l.checkVectors(r.Vectors)
}

// textSpeeds are the medians of five rounds over all texts, in each of which every model has its turn.
func textSpeeds(ctx context.Context, models []*encoder.Model, list []tokenizer.Encoding, doc *textsDiff) error {
	rates := make([][]float64, len(models))
	for round := range 6 { // the first warms up
		for i, m := range models {
			start, n := time.Now(), 0
			for n == 0 || time.Since(start) < decodeTime {
				if _, err := m.Rows(ctx, list, doc.Output); err != nil {
					return err
				}
				n += len(list)
			}
			if round > 0 {
				rates[i] = append(rates[i], float64(n)/time.Since(start).Seconds())
			}
		}
	}
	for i, r := range rates {
		x := number(median(r))
		doc.Models[i].Speed = &x
	}
	return nil
}

// fill words the results, with the texts that differ most.
func (x *textsModel) fill(m *encoder.Model, in []encoder.Input, lines []int, worst int) {
	r := x.results
	order := make([]int, len(r.Each))
	for i := range order {
		order[i] = i
	}
	of := func(i int) float64 { return r.Each[i].Cosine }
	logits := r.Output == encoder.Logits
	if logits {
		of = func(i int) float64 { return -r.Each[i].Difference }
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(of(a), of(b)) }) // NaN first
	at := func(percent int) number {
		v := number(of(order[percent*(len(order)-1)/100]))
		if logits {
			v = -v
		}
		return v
	}
	s := &spread{at(0), at(1), at(10), at(50)}
	if logits {
		x.Difference = s
	} else {
		x.Cosine = s
	}
	t := r.Vectors
	if l := r.Classes; l != nil {
		kl, most, top1 := number(l.KL()), number(l.KLQuantile(1)), number(l.Top1())
		x.KL, x.KLMax, x.Top1, x.Values = &kl, &most, &top1, newTensorDoc(&l.Tensor)
	} else {
		x.Values = newTensorDoc(&t.Tensor)
	}
	labels := m.Labels()
	class := func(i int) string {
		if i < len(labels) {
			return labels[i]
		}
		return fmt.Sprint(i)
	}
	x.Worst = []worstText{}
	for _, i := range order[:min(worst, len(order))] {
		w := worstText{Line: lines[i], Text: in[i].Text, Value: number(r.Each[i].Cosine)}
		if in[i].Pair != "" {
			w.Text += " | " + in[i].Pair
		}
		if logits {
			w.Value = number(r.Each[i].Difference)
		}
		if r.Classes != nil {
			w.FP32, w.Got = class(r.Each[i].FP32), class(r.Each[i].Got)
		}
		x.Worst = append(x.Worst, w)
	}
}

func (d *textsDiff) print() error {
	if r := d.Reference; r != nil {
		fmt.Fprintf(ui.Stdout, "model    %s (%s), %s parameters\n", r.Name, r.Architecture, ui.Count(r.Parameters))
	} else {
		fmt.Fprintln(ui.Stdout, "against  the FP32 results in each file")
	}
	fmt.Fprintf(ui.Stdout, "texts    %s of %s of %s, %s tokens\noutput   %s\n\n", ui.Count(int64(d.Texts)), ui.Count(int64(d.Available)), d.Source, ui.Count(int64(d.Tokens)), d.Output)
	doc := &report.Doc{}
	for _, m := range d.Models {
		doc.Models = append(doc.Models, &report.Model{File: m.File})
	}
	names := doc.Names()
	header := []string{"file", "size", "bits", "texts/s"}
	what := "cosine"
	if d.Models[0].Difference != nil {
		header = append(header, "difference: greatest", "of 1 %", "of 10 %", "median")
		what = "difference"
	} else {
		header = append(header, "cosine: least", "of 1 %", "of 10 %", "median")
	}
	header = append(header, "SQNR", "max-abs")
	classes := d.Models[0].KL != nil
	if classes {
		header = append(header, "KL", "worst", "top-1")
	}
	figure := func(v number) string {
		if what == "cosine" {
			return fmt.Sprintf("%.5f", float64(v))
		}
		return fmt.Sprintf("%.3g", float64(v))
	}
	t := ui.NewTable(header...)
	for i, m := range d.Models {
		speed := "-"
		if m.Speed != nil {
			speed = rate(float64(*m.Speed))
		}
		s := cmp.Or(m.Cosine, m.Difference)
		row := []any{names[i], ui.Size(m.Bytes), fmt.Sprintf("%.2f", float64(m.Bits)), speed, figure(s.Worst), figure(s.Of1), figure(s.Of10), figure(s.Median),
			dB(float64(m.Values.SQNR)), fmt.Sprintf("%.3g", float64(m.Values.MaxAbs))}
		if classes {
			row = append(row, fmt.Sprintf("%.3g", float64(*m.KL)), fmt.Sprintf("%.3g", float64(*m.KLMax)), fmt.Sprintf("%.2f %%", 100*float64(*m.Top1)))
		}
		t.Row(row...)
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	if d.Reference != nil {
		fmt.Fprint(ui.Stdout, "\nlocal: the layer alone, on FP32 inputs; all else: within the quantized run\nclipped: outside what the integers reach\n")
	}
	for i, m := range d.Models {
		fmt.Fprintf(ui.Stdout, "\n%s\n", names[i])
		if m.Layers != nil {
			if err := printLayers(&report.Model{Layers: m.Layers, Weights: m.Weights}); err != nil {
				return err
			}
			fmt.Fprintln(ui.Stdout)
		}
		if len(m.Worst) == 0 {
			continue
		}
		header := []string{what, "line", "text"}
		if classes {
			header = []string{what, "FP32", "quantized", "line", "text"}
		}
		t := ui.NewTable(header...).Notes()
		for _, w := range m.Worst {
			row := []any{figure(w.Value)}
			if classes {
				row = append(row, w.FP32, w.Got)
			}
			t.Row(append(row, w.Line, fmt.Sprintf("%.60q", w.Text))...)
		}
		if err := t.Print(ui.Stdout); err != nil {
			return err
		}
	}
	return nil
}
