"""`python -m demo.conceptevo`: the story."""

from demo.conceptevo.story import main

if __name__ == "__main__":
    main()
