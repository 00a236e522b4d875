// Package report is the document of an accuracy comparison, and the page that
// shows it. The document is the JSON form (schema 1); HTML draws it as one
// file without scripts or anything from elsewhere. Equal documents give equal
// bytes.
package report

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
)

// Number is a figure that JSON writes as null when it is infinite (an SQNR of
// equal tensors) or not a number (a standard error from one window).
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// Doc is a whole comparison: one FP32 run, any number of files.
type Doc struct {
	Schema    int       `json:"schema"` // 1
	Command   string    `json:"command"`
	Tool      string    `json:"tool"`
	Reference Reference `json:"reference"`
	Text      Text      `json:"text"`
	FP32      *Estimate `json:"fp32_perplexity"` // null without text to score
	Models    []*Model  `json:"models"`
}

// Reference is the original model.
type Reference struct {
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	Parameters   int64  `json:"parameters"`
	Vocab        int    `json:"vocab"`
	Path         string `json:"path"`
}

// Text is what was compared.
type Text struct {
	Source    string `json:"source"`
	Tokens    int    `json:"tokens"`    // compared
	Available int    `json:"available"` // in the whole text
	Windows   int    `json:"windows"`
	Window    int    `json:"window"` // tokens at most
}

// Few says that so little text leaves the figures to chance.
func (t *Text) Few() bool { return t.Tokens < 256 }

// Names are the files' base names, or whole paths where base names would be equal.
func (d *Doc) Names() []string {
	count := map[string]int{}
	for _, m := range d.Models {
		count[filepath.Base(m.File)]++
	}
	var names []string
	for _, m := range d.Models {
		name := filepath.Base(m.File)
		if count[name] > 1 {
			name = m.File
		}
		names = append(names, name)
	}
	return names
}

// Estimate is a figure with its standard error.
type Estimate struct {
	Value  Number `json:"value"`
	StdErr Number `json:"stderr"`
}

// Model is one file.
type Model struct {
	File        string      `json:"file"`
	Bytes       int64       `json:"bytes"`
	Scheme      string      `json:"scheme"`
	Bits        Number      `json:"bits_per_weight"`
	Tool        string      `json:"tool"`
	Settings    []Setting   `json:"settings"` // of the conversion and of this run, in order
	KL          KL          `json:"kl"`
	Top1        Number      `json:"top1_agreement"`
	Top5        Number      `json:"top5_agreement"`
	Logits      Distance    `json:"logits"`
	Perplexity  *Estimate   `json:"perplexity"`
	Increase    *Estimate   `json:"perplexity_increase"` // a share; paired
	Speed       *Number     `json:"decode_tokens_per_second"`
	Limits      []Limit     `json:"limits"`
	Layers      []Layer     `json:"layers"`
	Weights     []Weight    `json:"weights"`
	WorstLayers []Histogram `json:"worst_layers"`
	WorstTokens []Token     `json:"worst_tokens"`
}

// Setting is one line of the provenance.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// KL is the divergence of the predictions from FP32's, in nats.
type KL struct {
	Mean   Number `json:"mean"`
	Median Number `json:"median"`
	P90    Number `json:"p90"`
	P99    Number `json:"p99"`
	P999   Number `json:"p999"`
	Max    Number `json:"max"`
	Bins   Bins   `json:"bins"`
}

// Bins count tokens by log10 of their KL, PerDecade bins a decade.
type Bins struct {
	First     Number `json:"first"` // log10 of the lower end of the first
	PerDecade int    `json:"per_decade"`
	Counts    []int  `json:"counts"`
	Under     int    `json:"under"` // tokens of less than 10^-8
}

// Limit is a threshold that was asked for.
type Limit struct {
	Name string `json:"name"`
	Want Number `json:"want"`
	Got  Number `json:"got"`
	OK   bool   `json:"ok"`
}

// Distance is between a tensor and FP32's.
type Distance struct {
	SQNR   Number `json:"sqnr_db"` // null when equal
	Cosine Number `json:"cosine"`
	MaxAbs Number `json:"max_abs"`
}

// Range is what values lie between.
type Range struct {
	Min Number `json:"min"`
	Max Number `json:"max"`
}

// Layer is one node of the graph.
type Layer struct {
	Name       string   `json:"name"`
	Op         string   `json:"op"`
	Scheme     string   `json:"scheme,omitempty"`
	Weight     string   `json:"weight,omitempty"`        // name of its matrix
	Clipped    *Number  `json:"input_clipped,omitempty"` // s8s8: share of the FP32 inputs outside the one range
	Local      Distance `json:"local"`
	Cumulative Distance `json:"cumulative"`
	FP32       Range    `json:"fp32_range"`
	Quantized  Range    `json:"quantized_range"`
}

// Weight is one matrix.
type Weight struct {
	Name    string `json:"name"`
	Scheme  string `json:"scheme"`
	SQNR    Number `json:"sqnr_db"`
	MaxAbs  Number `json:"max_abs"`
	Clipped Number `json:"clipped"` // share outside what the integers reach
}

// Histogram is what the values of a layer look like.
type Histogram struct {
	Layer  string  `json:"layer"`
	Scheme string  `json:"scheme"`
	SQNR   Number  `json:"local_sqnr_db"`
	Weight *Values `json:"weight"`
	Input  *Values `json:"input"`
}

// Values are counts in equal bins over [-Limit, Limit], and the range that the
// quantizer chose, averaged; Low = High = 0 for floats. Half of the zeros are
// in the bin below zero.
type Values struct {
	Name      string  `json:"name"`
	Limit     Number  `json:"limit"`
	Counts    []int64 `json:"counts"`
	Quantized []int64 `json:"quantized,omitempty"` // in the same bins
	Low       Number  `json:"low"`
	High      Number  `json:"high"`
	Clipped   Number  `json:"clipped"`
	Fixed     bool    `json:"fixed,omitempty"` // inputs: one range for all tokens (s8s8)
}

// Token is one prediction that differs much.
type Token struct {
	Window    int      `json:"window"`
	Position  int      `json:"position"`
	KL        Number   `json:"kl"`
	Before    string   `json:"before"`
	Actual    *Actual  `json:"actual"` // null at the end of a sequence
	FP32      []Choice `json:"fp32"`
	Quantized []Choice `json:"quantized"`
}

// Actual is the token that the text has there.
type Actual struct {
	Text      string `json:"text"`
	FP32      Number `json:"fp32"`
	Quantized Number `json:"quantized"`
}

// Choice is a token that a model would write.
type Choice struct {
	Text string `json:"text"`
	P    Number `json:"p"`
}

// Static says whether layers read inputs with one range for all tokens.
func (m *Model) Static() bool {
	return slices.ContainsFunc(m.Layers, func(l Layer) bool { return l.Clipped != nil })
}

// Verdict puts the mean KL in words: pass or miss if limits were given, else a grade.
func (m *Model) Verdict() (good int, words string) {
	missed := 0
	for _, l := range m.Limits {
		if !l.OK {
			missed++
		}
	}
	switch kl := float64(m.KL.Mean); {
	case math.IsNaN(kl):
		return 0, "not finite: the file or the original is broken"
	case missed > 0:
		return 0, "below what was asked for"
	case len(m.Limits) > 0:
		return 3, "meets all limits"
	case kl < 0.0005:
		return 3, "as good as FP32"
	case kl < 0.005:
		return 3, "very close to FP32"
	case kl < 0.03:
		return 2, "close to FP32"
	case kl < 0.15:
		return 1, "visibly different from FP32"
	}
	return 0, "far from FP32"
}
