package lm_test

import (
	"context"
	"fmt"
	"log"

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
