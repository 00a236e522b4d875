package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/cpu"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
)

// benchOptions are the flags of "qrun bench".
type benchOptions struct {
	*options
	threads         []int
	isas            []string
	prefill, depths []int
	decode          int
	mixed           string
	repeats         int
	format          string
	minRead         cli.Share
}

func benchCommand(o *options) *cobra.Command {
	b := &benchOptions{options: o}
	c := &cobra.Command{
		Use:   "bench FILE.qpt",
		Short: "Measure prefill and decode speed against the machine's limits",
		Long: `bench measures how fast prompts are read (pp512: 512 tokens), how fast tokens are
decoded (tg128: 128 tokens, tg128@1024: after 1024 others), and both together
(1024+128: time to the first token, then time per token). Before and after every
run it measures how fast the same cores read the weights of the file and how
fast they multiply on registers alone; what these allow stands beside each
figure. Figures of two files or machines compare best as shares of the limit.

Of an encoder it tells how many texts of each length (--prefill, default 16, 128 and 512 tokens) it reads in
a second, many in one call, and how long a text alone takes; of a network on pictures or tensors how many rows, one and
eight at a time, whose limit is not known.`,
		Example: `  qrun bench --model m.qpt
  qrun bench --model m.qpt --threads 1,2 --isa avx512,amx --format md
  qrun bench --model m.qpt --prefill 0 --mixed= --depth 0,1024 --min-decode-bandwidth 85%`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &o.model); err != nil {
				return err
			}
			return b.run(c)
		},
	}
	f := c.Flags()
	f.IntSliceVarP(&b.threads, "threads", "t", []int{0}, "cores to use, one or more numbers (0: all)")
	f.StringSliceVar(&b.isas, "isa", nil, "highest instruction sets to use, one or more of generic, avx2, avxvnni, avx512, amx (default the best)")
	f.IntSliceVar(&b.prefill, "prefill", []int{128, 512, 1024}, "prompt lengths (pp), of an encoder texts', 0 for no such test")
	f.IntVar(&b.decode, "decode", 128, "tokens to decode (tg), 0 for no such test")
	f.IntSliceVar(&b.depths, "depth", []int{0}, "tokens before those to decode (tg@)")
	f.StringVar(&b.mixed, "mixed", "1024+128", "prompt and tokens of the mixed test, empty for none")
	f.IntVarP(&b.repeats, "repeats", "r", 5, "runs of each test after a warm-up; the median counts")
	f.StringVar(&b.format, "format", "table", "table, csv, json or md")
	f.Var(&b.minRead, "min-decode-bandwidth", "exit 3 if a decode test reaches less than this `SHARE` of its limit: 85% or 0.85")
	cli.CompleteFiles(c, "", "qpt")
	cli.CompleteWords(c, "format", benchFormats...)
	cli.CompleteWords(c, "isa", cli.Levels...)
	return c
}

// benchTest is one test: a prompt and tokens decoded after it.
type benchTest struct {
	name   string
	flag   string // that asked for it
	depth  int    // tokens before, not timed
	prompt int    // timed
	decode int    // timed one by one
}

// tests lists what the flags ask for.
func (b *benchOptions) tests() (list []benchTest, err error) {
	wrong := func(flag string, v any, want string) ([]benchTest, error) {
		return nil, fmt.Errorf("%w: --%s %v: %s", cli.ErrUsage, flag, v, want)
	}
	for _, n := range b.prefill {
		if n < 0 {
			return wrong("prefill", n, "must not be negative")
		}
		if n > 0 {
			list = append(list, benchTest{fmt.Sprintf("pp%d", n), "prefill", 0, n, 0})
		}
	}
	if b.decode < 0 {
		return wrong("decode", b.decode, "must not be negative")
	}
	for _, n := range b.depths {
		if n < 0 {
			return wrong("depth", n, "must not be negative")
		}
		t := benchTest{fmt.Sprintf("tg%d", b.decode), "decode", n, 0, b.decode}
		if n > 0 {
			t.name, t.flag = fmt.Sprintf("%s@%d", t.name, n), "depth"
		}
		if b.decode > 0 {
			list = append(list, t)
		}
	}
	if b.mixed != "" {
		prompt, decode, _ := strings.Cut(b.mixed, "+")
		p, err1 := strconv.Atoi(prompt)
		d, err2 := strconv.Atoi(decode)
		if err1 != nil || err2 != nil || p < 1 || d < 2 {
			return wrong("mixed", strconv.Quote(b.mixed), "must be like 1024+128, with two tokens or more to decode")
		}
		list = append(list, benchTest{b.mixed, "mixed", 0, p, d - 1}) // the prompt gives the first token
	}
	if b.repeats < 1 {
		return wrong("repeats", b.repeats, "must be 1 or more")
	}
	if !slices.Contains(benchFormats, b.format) {
		return wrong("format", strconv.Quote(b.format), "must be one of "+strings.Join(benchFormats, ", "))
	}
	return list, nil
}

func (b *benchOptions) run(c *cobra.Command) error {
	if b.JSON {
		if c.Flags().Changed("format") && b.format != "json" {
			return fmt.Errorf("%w: --json and --format %s contradict each other", cli.ErrUsage, b.format)
		}
		b.format = "json"
	}
	tests, err := b.tests()
	if err != nil {
		return err
	}
	if len(b.isas) == 0 {
		b.isas = []string{b.isa} // "": the best
	}
	for _, isa := range b.isas {
		if err := ui.UseISA(isa); err != nil {
			return err
		}
	}
	doc := &benchDoc{Schema: 1, Command: "bench", Model: b.model, CPU: cpu.Describe(), Repeats: b.repeats}
	for _, isa := range b.isas {
		for _, threads := range b.threads {
			b.isa, b.load.Threads = isa, threads
			opt, err := b.settings()
			if err != nil {
				return err
			}
			m, err := runtime.Load(b.model, opt)
			if err != nil {
				return err
			}
			switch {
			case isNetwork(m):
				err = b.measureNetwork(c, m, doc)
			case encoder.Check(m.Graph) == nil:
				err = b.measureTexts(c, m, doc)
			default:
				err = b.measureTokens(c, m, tests, doc)
			}
			m.Close()
			if err != nil {
				return err
			}
		}
	}
	if err := doc.print(ui.Stdout, b.format); err != nil {
		return err
	}
	return doc.check(b.minRead)
}

// measureTokens runs the tests with one number of threads and one instruction set.
func (b *benchOptions) measureTokens(c *cobra.Command, r *runtime.Model, tests []benchTest, doc *benchDoc) error {
	m, err := lm.New(r, b.load.Context)
	if err != nil {
		return err
	}
	doc.KV = m.KV()
	tests = slices.Clone(tests)
	for i := 0; i < len(tests); i++ {
		t := tests[i]
		if t.depth+t.prompt+t.decode <= m.Context() {
			continue
		}
		if c.Flags().Changed(t.flag) {
			return fmt.Errorf("%w: --%s: %s does not fit in the context of %d (see --context)", cli.ErrUsage, t.flag, t.name, m.Context())
		}
		tests = slices.Delete(tests, i, i+1) // a default is a suggestion
		i--
	}
	if b.minRead.Given && !slices.ContainsFunc(tests, func(t benchTest) bool { return t.decode > 0 }) {
		return fmt.Errorf("%w: --min-decode-bandwidth: no test decodes (see --decode, --mixed, --context)", cli.ErrUsage)
	}
	bar := ui.NewProgress(b.Verbosity(), "bench", int64(len(tests)*(b.repeats+1)), ui.Count)
	defer bar.Done()
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	for _, t := range tests {
		r, err := t.measure(c.Context(), m, s, b.repeats, func() { bar.Add(1) })
		if err != nil {
			return err
		}
		doc.Results = append(doc.Results, r...)
	}
	return nil
}
