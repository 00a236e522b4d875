package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"qpt/internal/cli"
	"qpt/internal/ui"
)

var benchFormats = []string{"table", "csv", "json", "md"}

// Units of results.
const (
	tokensPerSecond   = "tokens/s" // of all tokens of a run
	textsPerSecond    = "texts/s"
	picturesPerSecond = "pictures/s"
	rowsPerSecond     = "rows/s" // of inputs that are no pictures
	milliseconds      = "ms"     // a token; of an encoder a text
)

// benchDoc is the whole result of "qrun bench".
type benchDoc struct {
	Schema  int           `json:"schema"`
	Command string        `json:"command"`
	Model   string        `json:"model"`
	CPU     string        `json:"cpu"`
	KV      string        `json:"kv,omitempty"` // of a language model
	Repeats int           `json:"repeats"`
	Results []benchResult `json:"results"`
}

// benchResult is one figure with its limit.
type benchResult struct {
	Test    string `json:"test"`
	ISA     string `json:"isa"`
	Threads int    `json:"threads"`
	Decode  bool   `json:"decode"` // of tokens decoded one by one, not of a prompt
	Unit    string `json:"unit"`
	Median  number `json:"median"`
	Min     number `json:"min"`
	Max     number `json:"max"`
	Limit   number `json:"limit"`   // in the same unit; 0 if unknown
	Reached number `json:"reached"` // share of the limit, 0 if unknown
	Bound   string `json:"bound"`   // "memory", "compute" or ""
	Read    number `json:"read_bytes_per_second"`
	Peak    number `json:"peak_ops_per_second"` // for this mix of operations; 0 if unknown
}

// newBenchResult turns the seconds of runs of so many tokens, and their least, into the unit.
func newBenchResult(unit string, tokens int, seconds []float64, least bound) benchResult {
	r := benchResult{Unit: unit}
	convert := func(s float64) number { return number(float64(tokens) / s) }
	if unit == milliseconds {
		convert = func(s float64) number { return number(s * 1e3 / float64(tokens)) }
	}
	a, b := convert(slices.Min(seconds)), convert(slices.Max(seconds))
	r.Median, r.Min, r.Max = convert(median(seconds)), min(a, b), max(a, b)
	if least.seconds > 0 {
		r.Limit, r.Reached, r.Bound, r.Peak = convert(least.seconds), number(least.seconds/median(seconds)), "compute", number(least.peak)
		if least.memory {
			r.Bound = "memory"
		}
	}
	return r
}

// cells prints a result for people.
func (r *benchResult) cells() []string {
	figure := func(x number) string {
		if x < 100 {
			return fmt.Sprintf("%.2f", x)
		}
		return fmt.Sprintf("%.0f", x)
	}
	row := []string{r.Test, r.ISA, strconv.Itoa(r.Threads), figure(r.Median), figure(r.Min), figure(r.Max), r.Unit}
	switch r.Bound {
	case "memory":
		return append(row, figure(r.Limit), fmt.Sprintf("%.1f %%", 100*r.Reached), fmt.Sprintf("memory %.1f GB/s", r.Read/1e9))
	case "compute":
		return append(row, figure(r.Limit), fmt.Sprintf("%.1f %%", 100*r.Reached), fmt.Sprintf("compute %.2f TOPS", r.Peak/1e12))
	}
	return append(row, "-", "-", "-")
}

// columns explains what people see.
const columns = `
median, min, max  of %d after a warm-up%s
limit             what the machine allowed at that time: the bytes or the
                  operations of the test at the rate of "bound by"
reached           the median's share of the limit
bound by          memory: all these cores reading the weights of this file
                  compute: multiplying on registers alone
`

// print writes the results in one of benchFormats.
func (d *benchDoc) print(w io.Writer, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(d)
	case "csv":
		rows := [][]string{strings.Split("test,isa,threads,decode,unit,median,min,max,limit,reached,bound,read_bytes_per_second,peak_ops_per_second", ",")}
		for _, r := range d.Results {
			var row []string
			for _, x := range []any{r.Test, r.ISA, r.Threads, r.Decode, r.Unit, r.Median, r.Min, r.Max, r.Limit, r.Reached, r.Bound, r.Read, r.Peak} {
				row = append(row, fmt.Sprint(x))
			}
			rows = append(rows, row)
		}
		return csv.NewWriter(w).WriteAll(rows)
	}
	header := []string{"test", "isa", "cores", "median", "min", "max", "unit", "limit", "reached", "bound by"}
	if format == "md" {
		rule := "|" + strings.Repeat(" --- |", len(header))
		fmt.Fprintf(w, "| %s |\n%s\n", strings.Join(header, " | "), rule)
		for _, r := range d.Results {
			fmt.Fprintf(w, "| %s |\n", strings.Join(r.cells(), " | "))
		}
		kv := ""
		if d.KV != "" {
			kv = ", KV cache " + d.KV
		}
		_, err := fmt.Fprintf(w, "\n%s, %s%s, median of %d\n", d.Model, d.CPU, kv, d.Repeats)
		return err
	}
	fmt.Fprintf(w, "model    %s\nmachine  %s\n", d.Model, d.CPU)
	words := ""
	if d.KV != "" {
		fmt.Fprintf(w, "run      KV cache %s\n", d.KV)
		words = "; TTFT is the time to the first token,\n                  TPOT that of each further one"
	}
	fmt.Fprintln(w)
	t := ui.NewTable(header...).Notes()
	for _, r := range d.Results {
		var row []any
		for _, c := range r.cells() {
			row = append(row, c)
		}
		t.Row(row...)
	}
	if err := t.Print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, columns, d.Repeats, words)
	return err
}

// check holds the decode tests to a share of their limit.
func (d *benchDoc) check(least cli.Share) error {
	if !least.Given {
		return nil
	}
	var missed []string
	for _, r := range d.Results {
		if !r.Decode {
			continue
		}
		if !(float64(r.Reached) >= least.Value) {
			missed = append(missed, fmt.Sprintf("%s (%s, %d threads) reached %.1f %% of the limit", r.Test, r.ISA, r.Threads, 100*r.Reached))
		}
	}
	if missed != nil {
		return &ui.ExitError{Code: ui.Threshold, Err: fmt.Errorf("speed threshold missed: %s; wanted %.1f %%", strings.Join(missed, "; "), 100*least.Value),
			Hint: "try again when nothing else runs: other load hits the tests more than the probes"}
	}
	return nil
}
