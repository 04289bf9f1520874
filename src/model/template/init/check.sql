-- A check fails for every row that it returns.
SELECT language FROM greetings WHERE greeting = '';
