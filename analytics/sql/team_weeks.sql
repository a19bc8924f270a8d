-- A team's social media time, week by week.
-- in:  usage, weekly_members (week, "user": who was in the team then), weeks (week, first_day,
--      last_day), feed_days (day)
-- out: week, days_with_data, people_using, low_min, likely_min, high_min, work_low_min,
--      work_likely_min, work_high_min, break_low_min, … outside_high_min; a week without data has
--      null minutes, not zero
WITH fed AS (
    SELECT w.week, w.first_day, w.last_day, count(f.day)::INTEGER AS days_with_data
    FROM weeks AS w
    LEFT JOIN feed_days AS f ON f.day BETWEEN w.first_day AND w.last_day
    GROUP BY ALL
),

theirs AS (
    SELECT m.week, u.*
    FROM usage AS u
    JOIN weekly_members AS m ON m."user" = u."user"
    WHERE u.category = 'social_media'
),

sums AS (
    SELECT
        w.week,
        count(DISTINCT u."user") FILTER (WHERE u.likely_min >= 1)::INTEGER AS people_using,
        coalesce(sum(u.low_min), 0) AS low_min,
        coalesce(sum(u.likely_min), 0) AS likely_min,
        coalesce(sum(u.high_min), 0) AS high_min,
        coalesce(sum(u.work_low_min), 0) AS work_low_min,
        coalesce(sum(u.work_likely_min), 0) AS work_likely_min,
        coalesce(sum(u.work_high_min), 0) AS work_high_min,
        coalesce(sum(u.break_low_min), 0) AS break_low_min,
        coalesce(sum(u.break_likely_min), 0) AS break_likely_min,
        coalesce(sum(u.break_high_min), 0) AS break_high_min,
        coalesce(sum(u.outside_low_min), 0) AS outside_low_min,
        coalesce(sum(u.outside_likely_min), 0) AS outside_likely_min,
        coalesce(sum(u.outside_high_min), 0) AS outside_high_min
    FROM weeks AS w
    LEFT JOIN theirs AS u ON u.week = w.week AND u.day BETWEEN w.first_day AND w.last_day
    GROUP BY w.week
)

SELECT
    f.week,
    f.days_with_data,
    s.people_using,
    CASE WHEN f.days_with_data > 0 THEN s.low_min END AS low_min,
    CASE WHEN f.days_with_data > 0 THEN s.likely_min END AS likely_min,
    CASE WHEN f.days_with_data > 0 THEN s.high_min END AS high_min,
    CASE WHEN f.days_with_data > 0 THEN s.work_low_min END AS work_low_min,
    CASE WHEN f.days_with_data > 0 THEN s.work_likely_min END AS work_likely_min,
    CASE WHEN f.days_with_data > 0 THEN s.work_high_min END AS work_high_min,
    CASE WHEN f.days_with_data > 0 THEN s.break_low_min END AS break_low_min,
    CASE WHEN f.days_with_data > 0 THEN s.break_likely_min END AS break_likely_min,
    CASE WHEN f.days_with_data > 0 THEN s.break_high_min END AS break_high_min,
    CASE WHEN f.days_with_data > 0 THEN s.outside_low_min END AS outside_low_min,
    CASE WHEN f.days_with_data > 0 THEN s.outside_likely_min END AS outside_likely_min,
    CASE WHEN f.days_with_data > 0 THEN s.outside_high_min END AS outside_high_min
FROM fed AS f
JOIN sums AS s USING (week)
ORDER BY f.first_day
