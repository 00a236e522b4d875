package main

import (
	"context"
	"errors"
	"fmt"

	"qpt/format"
	"qpt/internal/ui"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/encoder"
)

// vectorsDoc is the JSON form of diff.Vectors.
type vectorsDoc struct {
	Output string `json:"output"`
	Rows   int    `json:"rows"`
	Least  number `json:"cosine_least"`
	Mean   number `json:"cosine_mean"`
	tensorDoc
}

// classesDoc is that of diff.Logits over classes.
type classesDoc struct {
	Output string `json:"output"`
	*accuracyDoc
}

// textSpeed is how fast an encoder reads texts.
type textSpeed struct {
	Texts   int     `json:"texts"`
	Tokens  int     `json:"tokens"`
	Seconds float64 `json:"seconds"`
}

// reportEncoder adds an encoder's accuracy and speed on the texts in its file, and returns what holds the accuracy against the limits.
func reportEncoder(ctx context.Context, o *options, m *encoder.Model, r *reportOptions, doc *reportDoc) (limits func() error, err error) {
	d, err := compare.CheckEncoder(ctx, m)
	if errors.Is(err, format.ErrMissing) {
		if !o.JSON {
			noResults("convert again for results to compare with")
		}
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	if d.Classes != nil {
		doc.Check = classesDoc{d.Output, newAccuracyDoc(d.Classes)}
	} else {
		v := d.Vectors
		doc.Check = vectorsDoc{d.Output, v.N(), number(v.Least()), number(v.Mean()), newTensorDoc(&v.Tensor)}
	}
	doc.Speed = &textSpeed{d.Texts, d.Tokens, d.Seconds}
	if !o.JSON {
		if d.Classes != nil {
			printAccuracy(d.Classes, "rows")
		} else {
			printVectors(d.Output, d.Vectors)
		}
		fmt.Fprintf(ui.Stdout, "\nspeed    %d texts of %d tokens in all in %.3g s: %.4g texts/s, %.4g tokens/s\n",
			d.Texts, d.Tokens, doc.Speed.Seconds, float64(d.Texts)/doc.Speed.Seconds, float64(d.Tokens)/doc.Speed.Seconds)
	}
	if d.Classes != nil {
		return func() error { return r.limits.check(d.Classes) }, nil
	}
	return func() error { return r.limits.checkVectors(d.Vectors) }, nil
}

func printVectors(output string, v *diff.Vectors) {
	if output == encoder.Logits { // of one label: a number has no direction
		fmt.Fprintf(ui.Stdout, "  texts compared      %d\n", v.N())
	} else {
		fmt.Fprintf(ui.Stdout, "  vectors compared    %d\n", v.N())
		fmt.Fprintf(ui.Stdout, "  cosine              least %.5f, mean %.5f\n", v.Least(), v.Mean())
	}
	fmt.Fprintf(ui.Stdout, "  values              SQNR %s, max-abs %.3g\n", dB(v.SQNR()), v.MaxAbs())
}

// checkVectors compares vectors with the limits; NaN misses every one.
func (l *limits) checkVectors(v *diff.Vectors) error {
	missed := l.checkTensor(nil, &v.Tensor)
	if l.minCos.Given && !(v.Least() >= l.minCos.Value) {
		missed = append(missed, fmt.Sprintf("least cosine %.5f is below %.5g", v.Least(), l.minCos.Value))
	}
	if v.Least() != v.Least() {
		missed = append(missed, "the results are not finite")
	}
	return missedError(missed)
}
