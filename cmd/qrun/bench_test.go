package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qpt/internal/cli"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
	"qpt/runtime"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{1, 8, 2, 4}, 3}} {
		list := slices.Clone(c.list)
		if got := median(list); got != c.want || !slices.Equal(list, c.list) {
			t.Errorf("median of %v is %v, want %v", c.list, got, c.want)
		}
	}
}

func TestLeast(t *testing.T) {
	p := machine{
		read: []float64{100, 50, 200},
		peak: map[probe.Product][]float64{{Acts: linear.A8}: {1000, 3000, 2000}, {Acts: linear.ABF16}: {500}, {Acts: linear.AF32}: {0}},
	}
	work := func(bytes, a8, bf16 float64) runtime.Cost {
		return runtime.Cost{Bytes: bytes, Ops: map[probe.Product]float64{{Acts: linear.A8}: a8, {Acts: linear.ABF16}: bf16}}
	}
	for _, c := range []struct {
		work []runtime.Cost
		want bound
	}{
		{[]runtime.Cost{work(100, 2000, 0)}, bound{1, true, 2000}},
		{[]runtime.Cost{work(100, 2000, 500)}, bound{2, false, 1250}}, // a second of each kind
		{[]runtime.Cost{work(100, 200, 0), work(300, 200, 0)}, bound{4, true, 2000}},
		{[]runtime.Cost{{Bytes: 100, Ops: map[probe.Product]float64{{Acts: linear.AF32}: 1}}}, bound{}},
	} {
		if got := p.least(c.work); got != c.want {
			t.Errorf("%v: %v, want %v", c.work, got, c.want)
		}
	}
}

func TestNewBenchResult(t *testing.T) {
	seconds := []float64{2, 4, 1}
	want := benchResult{Unit: tokensPerSecond, Median: 50, Min: 25, Max: 100, Limit: 200, Reached: 0.25, Bound: "memory", Peak: 7}
	if d := cmp.Diff(want, newBenchResult(tokensPerSecond, 100, seconds, bound{0.5, true, 7})); d != "" {
		t.Error(d)
	}
	want = benchResult{Unit: milliseconds, Median: 20, Min: 10, Max: 40, Limit: 5, Reached: 0.25, Bound: "compute", Peak: 7}
	if d := cmp.Diff(want, newBenchResult(milliseconds, 100, seconds, bound{0.5, false, 7})); d != "" {
		t.Error(d)
	}
	if r := newBenchResult(milliseconds, 100, seconds, bound{}); r.Limit != 0 || r.Bound != "" {
		t.Errorf("a limit from nothing: %+v", r)
	}
}

var exampleBench = &benchDoc{1, "bench", "m.qpt", "a machine", "bf16", 5, []benchResult{
	{"pp512", "amx", 2, false, tokensPerSecond, 1234.5, 1100, 1300, 5000, 0.2469, "compute", 25e9, 10e12},
	{"8+2 TPOT", "amx", 2, true, milliseconds, 25.5, 24, 26, 21.25, 0.8333, "memory", 25.04e9, 10e12},
	{"tg8", "generic", 1, true, tokensPerSecond, 3, 2, 4, 0, 0, "", 25e9, 0},
}}

func TestBenchFormats(t *testing.T) {
	for format, want := range map[string]string{
		"table": `model    m.qpt
machine  a machine
run      KV cache bf16

test      isa      cores  median    min    max  unit      limit  reached  bound by
pp512     amx          2    1234   1100   1300  tokens/s   5000   24.7 %  compute 10.00 TOPS
8+2 TPOT  amx          2   25.50  24.00  26.00  ms        21.25   83.3 %  memory 25.0 GB/s
tg8       generic      1    3.00   2.00   4.00  tokens/s      -        -  -

median`,
		"md": `| test | isa | cores | median | min | max | unit | limit | reached | bound by |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| pp512 | amx | 2 | 1234 | 1100 | 1300 | tokens/s | 5000 | 24.7 % | compute 10.00 TOPS |
| 8+2 TPOT | amx | 2 | 25.50 | 24.00 | 26.00 | ms | 21.25 | 83.3 % | memory 25.0 GB/s |
| tg8 | generic | 1 | 3.00 | 2.00 | 4.00 | tokens/s | - | - | - |

m.qpt, a machine, KV cache bf16, median of 5
`,
		"csv": `test,isa,threads,decode,unit,median,min,max,limit,reached,bound,read_bytes_per_second,peak_ops_per_second
pp512,amx,2,false,tokens/s,1234.5,1100,1300,5000,0.2469,compute,2.5e+10,1e+13
8+2 TPOT,amx,2,true,ms,25.5,24,26,21.25,0.8333,memory,2.504e+10,1e+13
tg8,generic,1,true,tokens/s,3,2,4,0,0,,2.5e+10,0
`,
		"json": `{
  "schema": 1,
  "command": "bench",
  "model": "m.qpt",
  "cpu": "a machine",
  "kv": "bf16",
  "repeats": 5,
  "results": [
    {
      "test": "pp512",
      "isa": "amx",
      "threads": 2,
      "decode": false,
      "unit": "tokens/s",
      "median": 1234.5,
`,
	} {
		var b strings.Builder
		if err := exampleBench.print(&b, format); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if format == "table" || format == "json" {
			got = got[:min(len(got), len(want))]
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
}

func TestBenchGate(t *testing.T) {
	for _, c := range []struct {
		results []benchResult
		least   string
		want    string // of the error
	}{
		{exampleBench.Results[:2], "80%", ""},
		{exampleBench.Results[:2], "0.84", "8+2 TPOT (amx, 2 threads) reached 83.3 % of the limit; wanted 84.0 %"},
		{exampleBench.Results[:2], "", ""},
		{exampleBench.Results[2:], "10%", "tg8 (generic, 1 threads) reached 0.0 %"}, // unknown is not reached
	} {
		var least cli.Share
		if c.least != "" {
			if err := least.Set(c.least); err != nil {
				t.Fatal(err)
			}
		}
		err := (&benchDoc{Results: c.results}).check(least)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.least, err, c.want)
		}
	}
}
