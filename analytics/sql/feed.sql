-- Lines per source and quarter of an hour.
-- in:  rhythm
-- out: the columns of the dataset `feed`
SELECT source, start, lines FROM rhythm
