package lm_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
)

// bundled is the repository's trained model in da8w4; qconv makes such a file:
//
//	qconv --in testdata/stories260K --scheme da8w4 --out stories260K.da8w4.qpt
func bundled() string {
	path, err := lmtest.Convert(lmtest.Checkpoint, "da8w4")
	if err != nil {
		log.Fatal(err)
	}
	return path
}

func ExampleLoad() {
	m, err := lm.Load(bundled(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	report, err := compare.Check(context.Background(), m)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d parameters, %s\n", m.Meta.Model.Architecture, m.Meta.Model.Parameters, m.Meta.Recipe.Scheme)
	fmt.Printf("%.0f%% of %d tokens as in FP32\n", 100*report.Top1(), report.Tokens())
	// Output:
	// llama, 260032 parameters, da8w4
	// 77% of 256 tokens as in FP32
}

func ExampleModel_Generate() {
	m, err := lm.Load(bundled(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	const prompt = "Once upon a time"
	fmt.Print(prompt)
	for tok, err := range m.Generate(context.Background(), prompt, lm.GenerateOptions{Stop: []string{"\n"}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(tok.Text)
	}
	// Output:
	// Once upon a time, there was a little girl named Lily. She loved to play outside in the sun. One day, she saw a big, shiny cloud in the sky. She was very happy and wanted to show it to her friend, but her mommy said it was too big for her.
}

// A session keeps what it has read: several continuations of one prompt.
func ExampleSession() {
	m, err := lm.Load(bundled(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		log.Fatal(err)
	}
	s, err := m.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	ids, err := tok.Encode(ctx, "Lily opened the box. In it was a", true)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.Append(ctx, ids); err != nil {
		log.Fatal(err)
	}
	read := s.Len()
	for _, word := range []string{"book", "doll", "big"} {
		s.Truncate(read)
		fmt.Print("a ", word)
		ids, err := tok.Encode(ctx, word, false)
		if err != nil {
			log.Fatal(err)
		}
		for t, err := range s.Generate(ctx, ids, lm.GenerateOptions{Stop: []string{"."}}) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Print(t.Text)
		}
		fmt.Println()
	}
	// Output:
	// a book, there was a big, red book
	// a doll, there was a big, red ball
	// a big, red box, there like a big box
}

// Sessions read together: the weights are read once for all of them, and each has what it would have alone.
func ExampleModel_AppendAll() {
	m, err := lm.Load(bundled(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	var list []lm.Append
	var texts [][]int32
	for _, text := range []string{"Once upon a time", "Lily and Ben", "The dog was very"} {
		s, err := m.NewSession()
		if err != nil {
			log.Fatal(err)
		}
		defer s.Close()
		ids, err := tok.Encode(ctx, text, true)
		if err != nil {
			log.Fatal(err)
		}
		list, texts = append(list, lm.Append{Session: s, IDs: ids}), append(texts, ids)
	}
	for range 12 {
		if err := m.AppendAll(ctx, list); err != nil {
			log.Fatal(err)
		}
		for i, a := range list {
			best := a.Session.Logits()
			list[i].IDs = []int32{int32(slices.Index(best, slices.Max(best)))}
			texts[i] = append(texts[i], list[i].IDs...)
		}
	}
	for _, ids := range texts {
		fmt.Println(tok.Decode(ids, true))
	}
	// Output:
	// Once upon a time, there was a little girl named Lily. She
	// Lily and Ben are friends. They like to play with the
	// The dog was very smart and loved to play with his to
}

// Any program runs on named tensors.
func ExampleModel_Run() {
	m, err := lm.Load(bundled(), runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	// Two sequences; the second has two tokens, and one of padding before them.
	out, err := m.Run(context.Background(), map[string]runtime.Tensor{
		"input_ids":      {Shape: []int{2, 3}, I: []int32{1, 403, 407, 0, 1, 403}},
		"attention_mask": {Shape: []int{2, 3}, I: []int32{1, 1, 1, 0, 1, 1}},
	}, runtime.RunOptions{Hidden: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out["logits"].Shape, out["hidden.5"].Shape)
	// Output:
	// [2 3 512] [2 3 64]
}
