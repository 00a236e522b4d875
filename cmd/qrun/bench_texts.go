package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"qpt/format/graph"
	"qpt/internal/cli"
	"qpt/internal/cpu"
	"qpt/internal/ui"
	"qpt/kernels/probe"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/tokenizer"
)

// What qrun bench runs of encoders.
const textTokens = 4096 // of texts in one call

var (
	textLengths = []int{16, 128, 512}
)

// onlyTokens refuses flags about tokens that follow each other.
func (b *benchOptions) onlyTokens(c *cobra.Command, flags ...string) error {
	for _, f := range flags {
		if c.Flags().Changed(f) {
			return fmt.Errorf("%w: --%s is for language models: %s writes no tokens", cli.ErrUsage, f, b.model)
		}
	}
	return nil
}

// measureTexts tells how many texts of each length an encoder reads in a second, many at a time, and how long one alone takes.
func (b *benchOptions) measureTexts(c *cobra.Command, r *runtime.Model, doc *benchDoc) error {
	if err := b.onlyTokens(c, "decode", "depth", "mixed", "min-decode-bandwidth"); err != nil {
		return err
	}
	m, err := encoder.New(r)
	if err != nil {
		return err
	}
	lengths, most := textLengths, m.Meta.Model.Context
	if c.Flags().Changed("prefill") {
		lengths = slices.DeleteFunc(slices.Clone(b.prefill), func(n int) bool { return n == 0 })
		if n := slices.Max(append(lengths, 0)); n > most {
			return fmt.Errorf("%w: --prefill: a text of %d tokens is longer than the model's %d", cli.ErrUsage, n, most)
		}
	} else if lengths = slices.DeleteFunc(slices.Clone(lengths), func(n int) bool { return n > most }); len(lengths) == 0 {
		lengths = []int{most}
	}
	output, _ := encoder.Result(m.Graph)
	bar := ui.NewProgress(b.Verbosity(), "bench", int64(2*len(lengths)*(b.repeats+1)), ui.Count)
	defer bar.Done()
	for _, length := range lengths {
		cost := m.Cost(0, length)
		for _, n := range []int{max(2, textTokens/length), 1} {
			texts := anyTexts(m, n, length)
			seconds, probes, err := b.rounds(r, bar, func() error { _, err := m.Rows(c.Context(), texts, output); return err })
			if err != nil {
				return err
			}
			work := runtime.Cost{Ops: map[probe.Product]float64{}, Bytes: cost.Bytes}
			for k, v := range cost.Ops {
				work.Ops[k] = v * float64(n)
			}
			least := probes.least([]runtime.Cost{work})
			if name := fmt.Sprintf("%d tokens", length); n > 1 {
				doc.add(r, name, textsPerSecond, n, seconds, least, probes)
				doc.add(r, name, tokensPerSecond, n*length, seconds, least, probes)
			} else {
				doc.add(r, name+", alone", milliseconds, 1, seconds, least, probes)
			}
		}
	}
	return nil
}

// anyTexts are n texts of so many tokens.
func anyTexts(m *encoder.Model, n, length int) []tokenizer.Encoding {
	vocab := 1
	for i := range m.Graph.Nodes {
		if node := &m.Graph.Nodes[i]; len(node.Params) > 0 && len(node.In) > 0 && node.In[0] == "ids" {
			if _, ok := node.Op.(graph.Embedding); ok {
				vocab = m.Tensor(node.Params[0]).Shape[0]
			}
		}
	}
	texts := make([]tokenizer.Encoding, n)
	for i := range texts {
		ids := make([]int32, length)
		for j := range ids {
			ids[j] = int32(((i*length+j)*104729 + 1) % vocab)
		}
		texts[i] = tokenizer.Encoding{IDs: ids, TypeIDs: make([]int32, length)}
	}
	return texts
}

// rounds times f again and again after a warm-up, with probes of the machine before, between and after.
func (b *benchOptions) rounds(m *runtime.Model, bar *ui.Progress, f func() error) (seconds []float64, probes *machine, err error) {
	probes = &machine{}
	seconds, err = timed(b.repeats, f, func() {
		probes.measure(m)
		bar.Add(1)
	})
	return seconds, probes, err
}

// timed gives the seconds of so many runs of f behind one to warm up; behind each it calls between.
func timed(repeats int, f func() error, between func()) (seconds []float64, err error) {
	for round := range repeats + 1 {
		start := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		if round > 0 {
			seconds = append(seconds, time.Since(start).Seconds())
		}
		between()
	}
	return seconds, nil
}

// add appends a figure.
func (d *benchDoc) add(m *runtime.Model, test, unit string, count int, seconds []float64, least bound, probes *machine) {
	r := newBenchResult(unit, count, seconds, least)
	r.Test, r.ISA, r.Threads, r.Read = test, cpu.Active().String(), m.Threads(), number(median(probes.read))
	d.Results = append(d.Results, r)
}
