package main

import (
	"context"
	"fmt"
	"slices"

	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime/diff"
)

// pictureEval is qrun eval on pictures.
type pictureEval struct {
	*options
	images, labels, against string
}

// evalDoc is what is said of a classifier.
type evalDoc struct {
	Schema   int         `json:"schema"`
	Command  string      `json:"command"`
	Model    string      `json:"model"`
	Images   string      `json:"images"`
	Pictures int         `json:"pictures"`
	Top1     *shareDoc   `json:"top1,omitempty"`
	Top5     *shareDoc   `json:"top5,omitempty"`
	Against  *againstDoc `json:"against,omitempty"`
}

// againstDoc is how it stands beside another.
type againstDoc struct {
	Model string    `json:"model"`
	Top1  *shareDoc `json:"top1,omitempty"`
	Top5  *shareDoc `json:"top5,omitempty"`
	Same  shareDoc  `json:"same_class"`
	SQNR  number    `json:"logits_sqnr_db"`
	KL    number    `json:"kl_mean"`
	Flips []flipDoc `json:"flips"`
}

// flipDoc is a picture whose likeliest class changes.
type flipDoc struct {
	Picture string   `json:"picture"`
	Right   *int     `json:"right,omitempty"`
	Before  classDoc `json:"before"`
	After   classDoc `json:"after"`
}

// results are the logits of all pictures, and what they meet.
func (v *pictureEval) results(ctx context.Context, model string) (c *classifier, a *album, logits [][]float32, h hits, err error) {
	opt, err := v.settings()
	if err != nil {
		return nil, nil, nil, h, err
	}
	if c, err = openClassifier(model, opt); err != nil {
		return nil, nil, nil, h, err
	}
	defer c.Close()
	if a, err = c.album(v.labels, v.images); err != nil {
		return nil, nil, nil, h, err
	}
	defer a.close()
	err = c.each(ctx, a, func(i int, y []float32) {
		logits = append(logits, slices.Clone(y))
		h.count(a.right[i], topClasses(y, c.labels, 5))
	})
	return c, a, logits, h, err
}

func (v *pictureEval) run(ctx context.Context) error {
	c, a, logits, h, err := v.results(ctx, v.model)
	if err != nil {
		return err
	}
	if h.known == 0 && v.against == "" {
		return fmt.Errorf("%w: no right classes are known: give --labels FILE with lines NAME CLASS, or --against FILE.qpt to compare with", cli.ErrUsage)
	}
	doc := evalDoc{Schema: 1, Command: "eval", Model: v.model, Images: v.images, Pictures: len(logits)}
	doc.Top1, doc.Top5 = h.shares()
	if v.against != "" {
		_, _, want, before, err := v.results(ctx, v.against)
		if err != nil {
			return err
		}
		d := &againstDoc{Model: v.against, Flips: []flipDoc{}}
		d.Top1, d.Top5 = before.shares()
		var all diff.Tensor
		var l diff.Logits
		same := 0
		for i, y := range logits {
			if len(y) != len(want[i]) {
				return fmt.Errorf("%w: %s gives %d classes, %s %d", errInput, v.model, len(y), v.against, len(want[i]))
			}
			all.Add(want[i], y)
			l.Add(want[i], y)
			x, z := topClasses(want[i], c.labels, 1)[0], topClasses(y, c.labels, 1)[0]
			if x.Class == z.Class {
				same++
				continue
			}
			f := flipDoc{Picture: a.names[i], Before: x, After: z}
			if a.right[i] >= 0 {
				f.Right = &a.right[i]
			}
			d.Flips = append(d.Flips, f)
		}
		d.Same, d.SQNR, d.KL = share(same, len(logits)), number(all.SQNR()), number(l.KL())
		doc.Against = d
	}
	if v.JSON {
		return cli.Document(doc)
	}
	if h.known > 0 {
		fmt.Fprintf(ui.Stdout, "%d pictures of known classes: top-1 %s, top-5 %s\n", h.known, doc.Top1, doc.Top5)
	}
	if d := doc.Against; d != nil {
		fmt.Fprintf(ui.Stdout, "beside %s: the same class %s, SQNR of the logits %.1f dB, KL %.4f nats\n", v.against, d.Same, float64(d.SQNR), float64(d.KL))
		if d.Top1 != nil {
			fmt.Fprintf(ui.Stdout, "%s: top-1 %s, top-5 %s\n", v.against, d.Top1, d.Top5)
		}
		if len(d.Flips) > 0 {
			t := ui.NewTable("changed", "right", "before", "after")
			for _, f := range d.Flips {
				right := ""
				if f.Right != nil {
					right = fmt.Sprint(*f.Right)
				}
				t.Row(f.Picture, right, f.Before.name(), f.After.name())
			}
			return t.Print(ui.Stdout)
		}
	}
	return nil
}

// name is a class as people read it.
func (c classDoc) name() string {
	if c.Label == "" {
		return fmt.Sprint(c.Class)
	}
	return fmt.Sprintf("%d %s", c.Class, c.Label)
}
